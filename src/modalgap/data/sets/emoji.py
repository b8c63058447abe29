"""Emoji: drawings of the same things in several styles."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from modalgap.data.columns import Columns
from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.source import Source
from modalgap.data.sources.parquet import read_parquet

OF_CAPTION = ("category", "object", "skin_tone", "gender", "hair", "direction", "colour")


class Emoji(Dataset):
    """The Parquet files of ``modalgap data emoji``; a caption is shared by the styles."""

    card = DataCard(
        name="emoji",
        title="Emoji",
        task="attributes",
        about="Emoji of Unicode, drawn in several styles; the caption is the English name, with"
        " skin tone, gender, hair, direction and colour, but not the style. Make it with:"
        " npm install @iconify-json/noto @iconify-json/twemoji @iconify-json/openmoji"
        " @iconify-json/fluent-emoji-flat; modalgap data emoji . -o data/emoji",
        size="with the four usual styles 15,406 images of 4,563 things: train 9,811, test (things"
        " that are not in train) 2,450, style (in a style that is not in train) 2,529, test_style"
        " 616",
        splits=("test", "train", "style", "test_style"),
        licence="Noto Emoji Apache-2.0, Twemoji CC BY 4.0, OpenMoji CC BY-SA 4.0, Fluent Emoji MIT",
        home="https://icon-sets.iconify.design/?category=Emoji",
        folder="emoji",
        layout=("test-00000-of-00001.parquet", "train-00000-of-00001.parquet"),
        citation="Google, Noto Emoji; Twitter and others, Twemoji; HfG Schwaebisch Gmuend,"
        " OpenMoji; Microsoft, Fluent Emoji; packed by Iconify",
    )

    def needs(self, split: str) -> Sequence[str]:
        return (f"{split}-*.parquet",)

    def read(self, folder: Path, split: str) -> Source:
        files = sorted(folder.glob(f"{split}-*.parquet"))
        columns = Columns(text="caption", factors=("thing", "style", *OF_CAPTION))
        found = read_parquet(files, str(folder), columns)
        said = {name: found.factors[name] for name in OF_CAPTION}
        return replace(found, text_factors=said)
