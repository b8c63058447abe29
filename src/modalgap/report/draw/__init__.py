"""Pictures: one idea a file; ``PICTURES`` lists them in the order of the page."""

from modalgap.report.draw.base import Picture
from modalgap.report.draw.clouds import gap, pca, top_dimensions
from modalgap.report.draw.cosines import cosines
from modalgap.report.draw.landscape import landscape
from modalgap.report.draw.profile import per_dimension

PICTURES: dict[str, Picture] = {
    picture.name: picture
    for picture in (gap, cosines, per_dimension, top_dimensions, pca, landscape)
}

__all__ = ["PICTURES", "Picture"]
