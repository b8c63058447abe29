"""Exports of a map: a whole model, a torch module, ONNX, views of FAISS, plain numbers, MTEB.

Every export takes rows of any norm and gives the same closed vectors as the map.
"""

from modalgap.close.exports.faiss_views import faiss_views
from modalgap.close.exports.json_numbers import to_json
from modalgap.close.exports.model_folder import to_model
from modalgap.close.exports.mteb_model import MtebModel, to_mteb
from modalgap.close.exports.onnx_model import to_onnx
from modalgap.close.exports.torch_module import RoleModule, to_torch

__all__ = [
    "MtebModel",
    "RoleModule",
    "faiss_views",
    "to_json",
    "to_model",
    "to_mteb",
    "to_onnx",
    "to_torch",
]
