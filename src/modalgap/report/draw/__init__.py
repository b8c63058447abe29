"""Pictures: one idea a file; ``PICTURES`` lists them in the order of the page."""

from modalgap.report.draw.base import Picture
from modalgap.report.draw.clouds import pca, top_dimensions
from modalgap.report.draw.cosines import cosines
from modalgap.report.draw.landscape import landscape
from modalgap.report.draw.profile import per_dimension

PICTURES: dict[str, Picture] = {
    picture.name: picture for picture in (pca, cosines, per_dimension, top_dimensions, landscape)
}

__all__ = ["PICTURES", "Picture"]
