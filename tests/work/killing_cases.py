"""Media that end the process that reads them, once."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from encode.cases import picture
from PIL import Image


class Killing:
    """n images of noise.

    Args:
        n: number of images.
        at: the image that kills.
        marker: a file that the kill leaves, after which it does not happen again.
    """

    kind = "image"

    def __init__(self, n: int, at: int, marker: Path) -> None:
        self.n, self.at, self.marker = n, at, marker
        self.names = [f"{i:03d}.png" for i in range(n)]

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, position: int) -> Image.Image:
        if position == self.at and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return picture(position)
