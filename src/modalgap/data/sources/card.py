"""Read the configs in a data set's README.md: which files belong to which split."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from modalgap.data.media import read_file
from modalgap.data.text import shown
from modalgap.errors import FileError

LONGEST = 2**22  # maximum bytes of README.md to read
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)


@dataclass
class Configs:
    """The configs in README.md.

    Attributes:
        patterns: maps (config, split) to the patterns of its files; split is "" if not named.
        notes: the reason why the configs could not be read.
    """

    patterns: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_configs(folder: Path) -> Configs:
    """The configs in the YAML block of ``README.md``; none if there is no such block."""
    result = Configs()
    try:
        text = read_file(folder / "README.md")[:LONGEST].decode("utf-8", errors="replace")
    except FileError:
        return result
    front = _FRONT.match(text)
    if front is None or "configs" not in front[1]:
        return result
    try:
        import yaml
    except ImportError:
        result.notes.append(
            "README.md has configs, and PyYAML is not installed (pip install pyyaml): splits are"
            " read from the names of the files"
        )
        return result
    try:
        content = yaml.safe_load(front[1])
        configs = content.get("configs") if isinstance(content, dict) else None
        for config in configs if isinstance(configs, list) else ():
            _add(config, result)
    except (ValueError, TypeError, RecursionError, AttributeError, yaml.YAMLError) as error:
        result.patterns.clear()
        why = shown(str(error), 80)
        result.notes.append(
            f"the configs of README.md cannot be read ({why}): splits are read from the names of"
            " the files"
        )
    return result


def _add(config: Any, found: Configs) -> None:
    name = str(config.get("config_name", "default"))
    folder = config.get("data_dir")
    files = config.get("data_files")
    if files is None:
        if isinstance(folder, str):
            found.patterns[name, ""] = [f"{folder.strip('/')}/**"]
        return
    if isinstance(files, str) or (isinstance(files, list) and _all(files, str)):
        files = [{"split": "train", "path": files}]
    elif isinstance(files, Mapping):
        files = [{"split": split, "path": path} for split, path in files.items()]
    if not isinstance(files, list) or not _all(files, Mapping):
        raise ValueError("data_files must be paths, or splits with paths")
    for each in files:
        path = each.get("path")
        patterns = [path] if isinstance(path, str) else path
        if not isinstance(patterns, list) or not _all(patterns, str):
            raise ValueError("path must be a string or a list of strings")
        key = (name, str(each.get("split", "train")))
        under = f"{folder.strip('/')}/" if isinstance(folder, str) and folder.strip("/") else ""
        found.patterns.setdefault(key, []).extend(under + pattern for pattern in patterns)


def _all(values: Sequence[Any], kind: type) -> bool:
    return all(isinstance(value, kind) for value in values)


def matches(name: PurePosixPath, pattern: str) -> bool:
    """Whether a relative path matches: ``*`` matches within a name, ``**`` across folders."""
    pattern = pattern.removeprefix("./")
    if pattern.endswith("/"):
        pattern += "**"
    regex = ""
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            regex, at = regex + r"(?:[^/]+/)*", at + 3
        elif pattern.startswith("**", at):
            regex, at = regex + ".*", at + 2
        elif pattern[at] == "*":
            regex, at = regex + "[^/]*", at + 1
        elif pattern[at] == "?":
            regex, at = regex + "[^/]", at + 1
        elif pattern[at] == "[" and (end := pattern.find("]", at + 2)) > 0:
            inside = pattern[at + 1 : end].replace("\\", r"\\")
            inside = "^" + inside[1:] if inside[0] == "!" else inside.replace("^", r"\^")
            regex, at = f"{regex}[{inside}]", end + 1
        else:
            regex, at = regex + re.escape(pattern[at]), at + 1
    try:
        return re.fullmatch(regex, str(name), re.DOTALL) is not None
    except re.error:
        return False
