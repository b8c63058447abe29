"""Encode: compute embeddings of images, sounds and texts with any CLIP-like model.

``modalgap.encode(source, model, output)`` encodes; ``load_model`` loads the model only. Each
library has one adapter file, which is imported only when a model of the library is loaded.
"""

from modalgap._lazy import callable_package
from modalgap.encode.base import Encoder
from modalgap.encode.libraries.functions import FunctionEncoder
from modalgap.encode.many import EncodedItems, run_items
from modalgap.encode.options import Options
from modalgap.encode.registry import ENCODERS, Library, load_model
from modalgap.encode.tokens import Tokens
from modalgap.encode.towers import ImageTower, TextTower
from modalgap.encode.verb import Encoded, encode, run

__all__ = [
    "ENCODERS",
    "Encoded",
    "EncodedItems",
    "Encoder",
    "FunctionEncoder",
    "ImageTower",
    "Library",
    "Options",
    "TextTower",
    "Tokens",
    "encode",
    "load_model",
    "run",
    "run_items",
]

callable_package(__name__, encode)
