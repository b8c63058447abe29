"""COCO Modality Equivalence of MTEB: images, captions, human speech and synthetic speech."""

from collections.abc import Sequence
from pathlib import Path

from modalgap.data.dataset import DataCard, ItemDataset
from modalgap.data.items import Items
from modalgap.data.media import Documents, Kind, Media
from modalgap.data.source import Source
from modalgap.data.sources.item_columns import ids_of
from modalgap.data.sources.item_typed import column_media
from modalgap.data.sources.parquet import ParquetTable
from modalgap.data.sources.shards import check_whole
from modalgap.data.sources.typed import holds_string
from modalgap.errors import FileError

_CONFIGS = {  # modality: config, column
    "image": ("t2i-corpus", "image"),
    "text": ("t2i-queries", "text"),
    "speech": ("a2i_h-queries", "audio"),
    "tts": ("a2i_s-queries", "audio"),
}


class COCOModalEquiv(ItemDataset):
    """The same items in four modalities.

    The id of an item is that of its COCO image. The six directions of MTEB repeat these four tables
    in other configs, so four configs suffice. ``read`` gives the images and captions.
    """

    card = DataCard(
        name="coco-modal-equiv",
        title="COCO Modality Equivalence (MTEB)",
        task="captions",
        about="COCO images, each with a caption, a person who speaks it and synthetic speech of a"
        " caption: the modalities image, text, speech and tts of the same items.",
        size="120 items, one row per modality",
        splits=("test",),
        licence="CC BY-SA 4.0",
        home="https://huggingface.co/datasets/mteb/coco-modality-equivalence",
        folder="coco-modality-equivalence",
        layout=tuple(f"{config}/test-00000-of-00001.parquet" for config, _ in _CONFIGS.values()),
        citation="MTEB, pull request 5384, 2026; images and captions: Lin et al., Microsoft COCO:"
        " Common Objects in Context, ECCV 2014; speech: Hsu et al., Text-Free Image-to-Speech"
        " Synthesis Using Learned Segmental Units, ACL 2021; tts: Havard et al., SPEECH-COCO, 2017",
    )

    def needs(self, split: str) -> Sequence[str]:
        return tuple(f"{config}/{split}*.parquet" for config, _ in _CONFIGS.values())

    def read(self, folder: Path, split: str) -> Source:
        items = self.read_items(folder, split).only(["image", "text"])
        position = {item: i for i, item in enumerate(items.ids["image"])}
        rows = [i for i, item in enumerate(items.ids["text"]) if item in position]
        return Source(
            name="",
            media=items.sides["image"],
            texts=[str(items.sides["text"][i]) for i in rows],
            text_to_image=[position[items.ids["text"][i]] for i in rows],
        )

    def read_items(self, folder: Path, split: str) -> Items:
        sides: dict[str, Media] = {}
        ids: dict[str, Sequence[str]] = {}
        for side, (config, column) in _CONFIGS.items():
            files = sorted((folder / config).glob(f"{split}*.parquet"))
            check_whole(files)
            table = ParquetTable(files, config)
            for name in ("id", column):
                if name not in table.types:
                    there = ", ".join(table.types) or "none"
                    raise FileError(f"{config}: must have the column {name}; has {there}")
            # MTEB writes h_ and s_ before ids of sounds in some configs
            stored = ids_of(table.values("id"))
            own = [each.removeprefix("h_").removeprefix("s_") for each in stored]
            if len(set(own)) < len(own):
                raise FileError(f"{config}: each id must occur once; one occurs twice")
            if side == "text":
                table.check(column, holds_string, "captions")
                texts = [str(each or "") for each in table.values(column)]
                sides[side], ids[side] = Documents(texts, own), own
            else:
                kind: Kind = "image" if side == "image" else "audio"
                sides[side], ids[side] = column_media(table, column, own, kind)
        return Items(
            name="",
            sides=sides,
            ids=ids,
            rule="the configs " + ", ".join(config for config, _ in _CONFIGS.values()),
        )
