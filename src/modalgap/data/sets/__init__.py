"""Named data sets, one a file."""

from modalgap.data.dataset import Dataset
from modalgap.data.sets.dtd import DTD

_SETS: tuple[type[Dataset], ...] = (DTD,)

DATASETS: dict[str, Dataset] = {each.card.name: each() for each in _SETS}
