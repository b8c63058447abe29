"""What a command gives: exit code, stdout, stderr."""

from collections.abc import Callable

Run = Callable[..., tuple[int, str, str]]
