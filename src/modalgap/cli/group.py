"""Groups of commands whose help is plain text.

Typer can draw help and usage errors with rich. Importing what that needs takes longer than all the
rest of ``modalgap --help``.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup


class Commands(TyperGroup):
    """A group that lists its commands with the whole first sentence of their help."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the names of the commands and what they do."""
        commands = {name: self.get_command(ctx, name) for name in self.commands}
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, command.get_short_help_str(limit=1000))
                    for name, command in commands.items()
                    if command is not None and not command.hidden
                ]
            )


def group(name: str, about: str, **options: Any) -> typer.Typer:
    """A group of commands; ``about`` is its help."""
    return typer.Typer(name=name, help=about, rich_markup_mode=None, **{"cls": Commands, **options})
