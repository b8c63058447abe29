"""TASKS: every task, in the order in which tables show them.

To add one, write its file and import it here.
"""

from modalgap.evaluate.base import Task
from modalgap.evaluate.retrieval import retrieval as retrieval
from modalgap.evaluate.zero_shot import zero_shot as zero_shot
from modalgap.evaluate.within import within as within
from modalgap.evaluate.mixed import mixed as mixed
from modalgap.evaluate.robustness import robustness as robustness
from modalgap.evaluate.clustering import clustering as clustering
from modalgap.evaluate.calibration import calibration as calibration
from modalgap.evaluate.fairness import fairness as fairness
from modalgap.evaluate.answers import answers as answers
from modalgap.method import collect as _collect

TASKS: dict[str, Task] = _collect(globals(), Task)
