"""What can go wrong, as one tree.

::

    ModalgapError
    ├── InputError          the data or an argument breaks a rule
    │   ├── FileError       a file cannot be read as embeddings
    │   └── OptionError     an option or a name that nothing has
    ├── OutputError         a result cannot be written where it was asked
    ├── Diverged            a loss in training became no number
    └── NotApplicable       the data is fine, but lacks what this method needs

Every message is one line: the file or argument, the rule, and what was found.
The command line prints it and exits with code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ModalgapError(Exception):
    """Anything that modalgap refuses to do, with the reason."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(str(message).split()))


class InputError(ModalgapError, ValueError):
    """The data or an argument breaks a rule."""


class FileError(InputError):
    """A file cannot be read as embeddings."""


class OptionError(InputError):
    """An option or a name that nothing has."""

    @classmethod
    def unknown(cls, kind: str, name: str, known: Iterable[str]) -> OptionError:
        """The error for a misspelt name, with the nearest one that exists."""
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
        return cls(f"unknown {kind} {name!r}; {hint}")


class OutputError(ModalgapError, OSError):
    """A result cannot be written where it was asked."""


class Diverged(ModalgapError):  # noqa: N818 - what happened, to whom nobody did wrong
    """A loss in training became no number."""


class NotApplicable(ModalgapError):  # noqa: N818 - not a mistake of anybody's
    """The data is fine, but lacks what this method needs."""
