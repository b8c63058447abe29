"""Plain words: expressions that readers have to guess are not used in docs, help and messages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PER = "modality|batch|image|step|second|side|part|item|row|file|digit|class|chunk|query|dimension"
BANNED = {
    r"\banew\b": "again, from scratch",
    r"\bdoors?\b": "validation",
    r"\b(?:go(?:es)?|went) on\b": "resume, continue",
    r"\b(?:a|the|all|every|each|random|of) looks?\b(?! (?:like|up|at|for))": "image, evaluation",
    r"\bways? of (?:\w+ing)\b": "method",
    r"\blikewise\b": "also",
    r"\bso many\b": "N, this number of",
    r"\bof which\b": "whose",
    r"\bwhat is known of\b": "facts about, factors of",
    rf"\b(?:rows|items|images|captions|pairs|steps|bytes|columns) an? (?:{PER})\b": "per",
    r"\bthus\b": "so, therefore",
    r"\b(?:is|are|became|become|holds?) no (?:maps?|numbers?)\b": "is not a map; NaN",
    r"\bmend(?:ed|s|ing)?\b": "fix",
    r"\bby heart\b": "overfit",
    r"\bat hand\b": "available",
    r"\bstrangers?\b": "unrelated items",
    r"\bspeaks? of\b": "name, describe",
    r"\bwherever\b": "if, in any place where",
    r"\bthe loss wants?\b": "is lowest at",
}
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / ".github").rglob("*.md"))]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
PAGES = [path for path in PAGES if not {"_build", "_generated"} & set(path.parts)]
MODULES = [
    path
    for folder in ("src", "reliability", "examples", "bench")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def found(text: str) -> Iterator[str]:
    flat = " ".join(text.split())
    for pattern, better in BANNED.items():
        for match in re.finditer(pattern, flat, re.IGNORECASE):
            near = flat[max(0, match.start() - 40) : match.end() + 40]
            yield f"“{match.group(0)}” (write: {better}) in: …{near}…"


def strings(path: Path) -> Iterator[str]:
    """Docstrings, messages and help texts: every string of a module with at least three words."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (each for each in node.values if isinstance(each, ast.Constant))
            text = " … ".join(str(each.value) for each in parts)
        else:
            continue
        if len(text.split()) >= 3:
            yield text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.M | re.S)
    assert not list(found(text))


def test_docstrings_help_and_messages() -> None:
    said = [
        f"{path.relative_to(ROOT)}: {each}"
        for path in MODULES
        for text in strings(path)
        for each in found(text)
    ]
    assert not said, "\n".join(said)


@pytest.mark.parametrize(
    "text", ["It goes on.", "rows a modality", "This is no map.", "Do so anew"]
)
def test_the_search_can_fail(text: str) -> None:
    assert list(found(text))
