"""What can go wrong, as one tree.

::

    ModalgapError
    ├── InputError          the data or an argument breaks a rule
    │   ├── FileError       a file cannot be read as embeddings
    │   └── OptionError     an option or a name that nothing has
    ├── OutputError         a result cannot be written where it was asked
    ├── Diverged            a loss in training became NaN or infinite
    └── NotApplicable       the data is fine, but lacks what this method needs

Every message is one line: the file or argument, the rule, and what was found, with at most 200
characters of any value (``quoted``). The command line prints it and exits with code 2.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

MOST = 120  # characters of a value in a message
WHOLE = 1500  # characters of a message
_LONG = r"\S{200,}|(?<!\w)(['\"])(?:(?!\1(?!\w)).){200,}?\1(?!\w)"  # one word, or between quotes


def quoted(value: object) -> str:
    """A value as a message quotes it: its ``repr``, the middle left out where it is long."""
    if isinstance(value, int) and value.bit_length() > 4 * MOST:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str) and len(value) > 2 * MOST:
        value = value[:MOST] + value[-MOST:]  # the middle is cut below, and costs nothing
    try:
        text = repr(value)
    except Exception:  # a repr of the user's own, or of an integer beyond the limit of Python
        return f"a value of type {type(value).__name__}"
    return shortened(text)


def shortened(text: str, most: int = MOST) -> str:
    """A text with its middle left out where it is longer than ``most`` characters."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]}…{text[-most // 4 :]}"


class ModalgapError(Exception):
    """Anything that modalgap refuses to do, with the reason."""

    def __init__(self, message: str) -> None:
        one_line = " ".join(str(message).split())
        # what a library's own message quotes, and names that are longer than any file's
        short = re.sub(_LONG, lambda found: shortened(found[0]), one_line)
        super().__init__(shortened(short, WHOLE))


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
        near = difflib.get_close_matches(name[:MOST], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
        return cls(f"unknown {kind} {quoted(name)}; {hint}")


class OutputError(ModalgapError, OSError):
    """A result cannot be written where it was asked."""


class Diverged(ModalgapError):  # noqa: N818 - what happened, to whom nobody did wrong
    """A loss in training became NaN or infinite."""


class NotApplicable(ModalgapError):  # noqa: N818 - not a mistake of anybody's
    """The data is fine, but lacks what this method needs."""
