"""MNIST: handwritten digits."""

import gzip
import io
import math
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modalgap.data.classes import labelled_media
from modalgap.data.dataset import DataCard
from modalgap.data.media import LARGEST, Pixels, read_file
from modalgap.data.reading import reading
from modalgap.data.sets._shared import Placed, every_class
from modalgap.data.source import Source
from modalgap.errors import FileError

STEM = {"test": "t10k", "train": "train"}


class MNIST(Placed):
    """The four IDX files, compressed or not."""

    card = DataCard(
        name="mnist",
        title="MNIST",
        task="classification",
        about="Handwritten digits, 28 x 28 grey pixels.",
        size="test 10,000 images, train 60,000; 10 classes",
        splits=("test", "train"),
        licence="not stated; often given as CC BY-SA 3.0",
        home="http://yann.lecun.com/exdb/mnist/",
        folder="mnist",
        layout=("raw/t10k-images-idx3-ubyte.gz", "raw/t10k-labels-idx1-ubyte.gz"),
        templates=('a photo of the number: "{}".',),
        citation="LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998",
    )
    folders = ("mnist/raw", "mnist/MNIST/raw", "MNIST/raw", "raw")

    def needs(self, split: str) -> Sequence[str]:
        return (f"{STEM[split]}-images?idx3-ubyte*", f"{STEM[split]}-labels?idx1-ubyte*")

    def read(self, folder: Path, split: str) -> Source:
        pixels, labels = (
            idx(min(folder.glob(need)), dims)
            for need, dims in zip(self.needs(split), (3, 1), strict=True)
        )
        if len(pixels) != len(labels):
            raise FileError(
                f"must have one label per image; {len(pixels)} and {len(labels)} differ"
            )
        media = Pixels(pixels, [f"{STEM[split]}/{i}" for i in range(len(pixels))])
        classes = [str(digit) for digit in range(10)]
        return every_class(labelled_media(media, labels.tolist(), classes))


def idx(path: Path, dims: int) -> NDArray[np.uint8]:
    """The array of bytes in an IDX file with ``dims`` dimensions.

    Raises:
        FileError: another format, or a length that differs from the header.
    """
    with reading(str(path)):
        packed = read_file(path)
        file = io.BytesIO(packed)
        stream = gzip.GzipFile(fileobj=file) if packed[:2] == b"\x1f\x8b" else file
        header = stream.read(4 + 4 * dims)
        if len(header) < 4 + 4 * dims or header[:4] != bytes([0, 0, 8, dims]):
            raise FileError(f"must be an IDX file of bytes in {dims} dimensions")
        shape = struct.unpack(f">{dims}I", header[4:])
        size = math.prod(shape)
        if size > LARGEST:
            raise FileError(f"must hold at most {LARGEST} bytes; declares {size}")
        found = stream.read(size + 1)
        if len(found) != size:
            much = "more" if len(found) > size else len(found)
            raise FileError(f"must hold {size} bytes after its header; holds {much}")
        return np.frombuffer(found, np.uint8).reshape(shape)
