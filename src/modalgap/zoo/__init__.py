"""Zoo: many models on many data sets, in one table of results.

``modalgap.zoo(models, data, "zoo")`` encodes, measures and evaluates every model on every data set.
An interrupted zoo resumes, and a model that fails costs only its own rows.
"""

from modalgap._lazy import callable_package
from modalgap.zoo.cells import Cell, read_cells
from modalgap.zoo.results import Zoo
from modalgap.zoo.verb import run_cells, zoo

__all__ = ["Cell", "Zoo", "read_cells", "run_cells", "zoo"]

callable_package(__name__, zoo)
