"""Long-running work: distribute it over processes, write it in parts, resume it.

``work_folder`` locks the folder of an unfinished run and compares its settings. ``Parts`` are the
files in it, one for each span of items. ``turn`` lets processes use a shared folder one after
another. An ``Executor`` calls a function with many arguments: in this process (``InProcess``), in
several (``Processes``) or on a cluster (``Ray``). The results do not depend on the executor. ``on``
sets the executor of a ``with`` block, and verbs get it from ``executor``. ``spread`` divides rows
into spans and gives each span to the executor.
"""

from modalgap.work.executors import Executor, InProcess, Processes, Setup
from modalgap.work.folder import changes, is_unfinished, path_of, remove, turn, work_folder
from modalgap.work.on import executor, on
from modalgap.work.parts import Part, Parts, Span, damaged, read_part, write_part
from modalgap.work.pool import Pool, processors
from modalgap.work.ray import Ray
from modalgap.work.spread import Advance, Job, spans_of, spread

__all__ = [
    "Advance",
    "Executor",
    "InProcess",
    "Job",
    "Part",
    "Parts",
    "Pool",
    "Processes",
    "Ray",
    "Setup",
    "Span",
    "changes",
    "damaged",
    "executor",
    "is_unfinished",
    "on",
    "path_of",
    "processors",
    "read_part",
    "remove",
    "spans_of",
    "spread",
    "turn",
    "work_folder",
    "write_part",
]
