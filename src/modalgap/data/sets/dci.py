"""DCI: densely captioned images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.reading import load_json, reading
from modalgap.data.sets._captions import captioned, text
from modalgap.data.source import Source
from modalgap.data.sources.gather import gather
from modalgap.errors import FileError
from modalgap.progress import progress

_SPLITS = ("test", "valid", "train", "all")


class DCI(Dataset):
    """Whole images; the descriptions of their parts are excluded.

    A split without suffix has the short caption of each image; with ``-long`` also the caption that
    annotators extended; with ``-summaries`` the summaries of the whole description by a language
    model (sDCI), which fit into the context of CLIP.
    """

    card = DataCard(
        name="dci",
        title="Densely Captioned Images",
        task="captions",
        about="Photographs with a short caption, a long one, and summaries of over 1,000 words.",
        size="7,805 images: test 108, valid 98, train 7,599; one caption each, or some summaries",
        splits=tuple(f"{split}{kind}" for kind in ("", "-long", "-summaries") for split in _SPLITS),
        licence="CC BY-NC 4.0; images under the licence of SA-1B",
        home="https://github.com/facebookresearch/DCI",
        folder="densely_captioned_images",
        layout=(
            "splits.json",
            "complete/112956-data.json, or annotations/112956-data.json",
            "photos/sa_1543972.jpg, from sa_000138.tar of SA-1B",
        ),
        citation="Urbanek et al., A Picture is Worth More Than 77 Text Tokens, CVPR 2024",
    )

    def needs(self, split: str) -> Sequence[str]:  # noqa: ARG002 - all need the same
        return ("splits.json", "photos")

    def read(self, folder: Path, split: str) -> Source:
        splits = load_json(folder / "splits.json")
        part, _, kind = split.partition("-")
        chosen = _SPLITS[:3] if part == "all" else (part,)
        entries = [str(entry) for each in chosen for entry in splits[each]]
        if len(set(entries)) < len(entries):
            twice = next(entry for entry in entries if entries.count(entry) > 1)
            raise FileError(f"splits.json: {twice} occurs twice")
        where = folder / ("complete" if (folder / "complete").is_dir() else "annotations")
        rows: dict[str, list[str]] = {}
        missing: list[tuple[str, str]] = []
        with progress("reading annotations", len(entries)) as advance:
            for entry in entries:
                advance(1)
                if not (where / entry).is_file():
                    missing.append((entry, f"needs {where / entry}"))
                    continue
                content = load_json(where / entry)
                with reading(str(where / entry)):
                    name = text(content["image"], entry)
                    captions = _captions(content, kind)
                if captions:
                    rows.setdefault(name, []).extend(captions)
                else:
                    missing.append((name, "no summary"))
        return captioned(gather("", folder / "photos", rows.items(), missing=missing))


def _captions(content: dict[str, Any], kind: str) -> list[str]:
    if kind == "summaries":
        found = (content.get("summaries") or {}).get("base") or []
        return [text(each, "a summary") for each in ([found] if isinstance(found, str) else found)]
    short = text(content["short_caption"], "short_caption")
    if kind != "long":
        return [short]
    return [f"{short}\n{text(content['extra_caption'], 'extra_caption')}".strip()]
