"""The exceptions of modalgap, as one tree.

::

    ModalgapError
    ├── InputError          the data or an argument breaks a rule
    │   ├── FileError       a file cannot be read as embeddings
    │   ├── MissingData     a data set that the user must get is not there
    │   └── OptionError     an option or a name that does not exist
    ├── OutputError         a result cannot be written to its path
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
    """The ``repr`` of a value for a message; the middle of a long one is left out."""
    if isinstance(value, int) and value.bit_length() > 4 * MOST:
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str) and len(value) > 2 * MOST:
        value = value[:MOST] + value[-MOST:]  # avoids a long repr, whose middle is cut below
    try:
        text = repr(value)
    except Exception:  # a repr of the user's own, or of an integer beyond the limit of Python
        return f"a value of type {type(value).__name__}"
    return shortened(text)


def shortened(text: str, most: int = MOST) -> str:
    """A text without its middle if it is longer than ``most`` characters."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]}…{text[-most // 4 :]}"


def reason(error: BaseException, most: int = 160) -> str:
    """Why another library raised an exception, on one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    line = " ".join(str(text).split())
    return "".join(char if char.isprintable() else "?" for char in line)[:most]


class ModalgapError(Exception):
    """The base of all exceptions of modalgap; the message gives the reason."""

    def __init__(self, message: str) -> None:
        one_line = " ".join(str(message).split())
        # shortens long quotations in messages of other libraries, and very long names
        short = re.sub(_LONG, lambda found: shortened(found[0]), one_line)
        super().__init__(shortened(short, WHOLE))


class InputError(ModalgapError, ValueError):
    """The data or an argument breaks a rule."""


class FileError(InputError):
    """A file cannot be read as embeddings."""


class MissingData(InputError):  # noqa: N818 - not a mistake of the user
    """A data set that the user must get or make is not there."""


class OptionError(InputError):
    """An option or a name that does not exist."""

    @classmethod
    def unknown(cls, kind: str, name: str, known: Iterable[str]) -> OptionError:
        """The error for an unknown name; it suggests the most similar one that exists."""
        known = sorted(known)
        near = difflib.get_close_matches(name[:MOST], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
        return cls(f"unknown {kind} {quoted(name)}; {hint}")


class OutputError(ModalgapError, OSError):
    """A result cannot be written to its path."""


class Diverged(ModalgapError):  # noqa: N818 - not a mistake of the user
    """A loss in training became NaN or infinite."""


class NotApplicable(ModalgapError):  # noqa: N818 - not a mistake of the user
    """The data is fine, but lacks what this method needs."""
