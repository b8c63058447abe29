"""What a data set of emoji holds, in a few lines."""

from __future__ import annotations

from modalgap.data.emoji.store import Emoji
from modalgap.modality import listed


def report(emoji: Emoji) -> list[str]:
    """Lines on the styles, the things and how they were matched, the splits, and what is missing.

    Args:
        emoji: from ``build`` or ``load``.
    """
    settings, things = emoji.settings, emoji.things
    images = sum(emoji.splits.values()) + len(emoji.left_out)
    alone = things.get(1, 0)
    several = [f"{count:,} in {styles} styles" for styles, count in things.items() if styles > 1]
    styles = ", ".join(
        f"{style} {version}" + (" (held out)" if style == settings["held_out_style"] else "")
        for style, version in settings["styles"].items()
    )
    lines = [
        f"styles   {styles}",
        f"images   {images:,} of {settings['size']} x {settings['size']} pixels; without"
        f" {emoji.hidden:,} older ones, which their packages hide",
        f"things   {sum(things.values()):,}: {listed([*several, f'{alone:,} in one'])}",
        f"matched  {images - alone:,} images with the same thing in another style,"
        f" {emoji.by_name:,} by name and the others by code points; not matched {alone:,}",
        "splits   " + ", ".join(f"{split} {count:,}" for split, count in emoji.splits.items()),
    ]
    if emoji.left_out:
        name, reason = emoji.left_out[0]
        more = f", and {len(emoji.left_out) - 1:,} more" if len(emoji.left_out) > 1 else ""
        lines.append(f"left out {name}: {reason}{more}")
    return [*lines, f"folder   {emoji.folder}"]
