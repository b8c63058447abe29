"""Random layouts: items in are items read and items listed, whatever the tree holds."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from layouts.trees import grow, lost

from modalgap.data import read, walk
from modalgap.data.sources import folder as reader
from modalgap.data.sources import gather
from modalgap.data.sources.leftovers import Leftover
from modalgap.data.summary import facts, summary

SEEDS = 150


def test_nothing_is_lost_in_a_folder(tmp_path: Path) -> None:
    modes = set()
    for seed in range(SEEDS):
        made = grow(tmp_path / str(seed), seed)
        source = read(made.folder)
        assert lost(made, source) == [], f"seed {seed}: {source.rule}"
        assert "\n" not in summary(source)
        told = facts(source)
        assert len(told["left_out"]) == len(source.missing)
        assert source.rule
        modes.add(source.rule.partition(" in ")[0])
        again = read(made.folder)
        assert facts(again) == told
        assert again.texts == source.texts
    assert len(modes) > 6, "the trees must be of many kinds"


def _without(name: str) -> Any:
    """``gather`` that leaves out the second row without a word."""
    whole = getattr(gather, name)

    def broken(called: str, folder: Path, rows: Any, **options: Any) -> Any:
        rows = list(rows)
        factors = {key: [*v[:1], *v[2:]] for key, v in (options.pop("factors", None) or {}).items()}
        return whole(called, folder, [*rows[:1], *rows[2:]], factors=factors, **options)

    return broken


@pytest.mark.parametrize("fault", ["file", "row", "other", "link", "empty"])
def test_a_silent_loss_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    if fault == "file":
        whole = walk.walk

        def shorter(folder: Path) -> walk.Tree:
            tree = whole(folder)
            return walk.Tree(folder, tree.files[1:], tree.folders, tree.lost, tree.unused)

        monkeypatch.setattr("modalgap.data.sources.layout.walk", shorter)
    elif fault == "row":
        monkeypatch.setattr(reader, "gather", _without("gather"))
    elif fault == "other":
        monkeypatch.setattr(reader, "leftover", lambda *_, **__: Leftover())
    elif fault == "link":
        silent = walk.Tree.__init__

        def forgetful(self: walk.Tree, *args: Any, **options: Any) -> None:
            silent(self, *args, **options)
            object.__setattr__(
                self, "lost", type("Nothing", (list,), {"append": lambda *_: None})()
            )

        monkeypatch.setattr(walk.Tree, "__init__", forgetful)
    else:
        monkeypatch.setattr("modalgap.data.sources.beside.EMPTY", "an empty caption")
        monkeypatch.setattr(reader, "_merged", lambda _, table, beside: (
            [each or said or [] for each, said in zip(table, beside or table, strict=False)], []
        ))  # fmt: skip
    found = 0
    for seed in range(60):
        made = grow(tmp_path / str(seed), seed)
        try:
            found += bool(lost(made, read(made.folder)))
        except Exception:  # noqa: S112 - a fault may also break the reader, which is no silence
            continue
    assert found > 0


def test_nothing_is_lost_in_a_table(tmp_path: Path) -> None:
    for seed in range(SEEDS):
        rng = random.Random(seed)  # noqa: S311 - layouts, no secrets
        rows = []
        for i in range(rng.randint(1, 9)):
            path = rng.choice((f"{rng.randint(0, 4)}.png", None, ""))
            said = rng.choice((f"said {i}", [f"said {i}", f"again {i}", None], None, "", [], 3))
            rows.append({"path": path, "caption": said, "style": rng.choice("ab")})
        path = tmp_path / f"{seed}.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        if not any(row["path"] for row in rows):
            continue
        source = read(path)
        reasons = [reason for _, reason in source.missing]
        assert source.media is not None
        assert list(source.media.names) == list(
            dict.fromkeys(row["path"] for row in rows if row["path"])
        )
        assert reasons.count("no path") == sum(not row["path"] for row in rows)
        cells = [
            row["caption"] if isinstance(row["caption"], list) else [row["caption"]] for row in rows
        ]
        empty = sum(not each for cell in cells for each in (cell or [None]))
        odd = sum(isinstance(each, int) for cell in cells for each in cell)
        assert reasons.count("no caption") == empty
        assert reasons.count("its caption is not a text") == odd
        texts = [t for row, cell in zip(rows, cells, strict=True) if row["path"] for t in cell
                 if isinstance(t, str) and t]  # fmt: skip
        assert sorted(source.texts or []) == sorted(texts)
