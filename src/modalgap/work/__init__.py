"""Long-running work: distribute it over processes, write it in parts, resume it.

``work_folder`` locks the folder of an unfinished run and compares its settings; ``turn`` lets
processes use a shared folder one after another. ``Parts`` are the
files in it, one for each span of items. An ``Executor`` calls a function for many arguments, in
this process (``InProcess``) or in several (``Processes``); its results do not depend on which.
"""

from modalgap.work.executors import Executor, InProcess, Processes, Setup
from modalgap.work.folder import changes, is_unfinished, path_of, remove, turn, work_folder
from modalgap.work.parts import Part, Parts, Span, damaged, read_part, write_part
from modalgap.work.pool import Pool, processors
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
    "Setup",
    "Span",
    "changes",
    "damaged",
    "is_unfinished",
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
