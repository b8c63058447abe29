"""nocaps: novel objects."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from modalgap.data.dataset import DataCard, Dataset
from modalgap.data.reading import load_json
from modalgap.data.sets._captions import captioned
from modalgap.data.source import Source
from modalgap.data.sources.coco import read_coco
from modalgap.errors import FileError, quoted

_FILE = "nocaps_val_4500_captions.json"
_DOMAINS = {f"{name}-domain": name for name in ("in", "near", "out")}


class NoCaps(Dataset):
    """The validation images; the captions of the test images are not public.

    The factor ``domain`` tells whether the objects in an image are in COCO: all (in), some (near)
    or none (out).
    """

    card = DataCard(
        name="nocaps",
        title="nocaps",
        task="captions",
        about="Photographs of objects that are rare in COCO's captions, each with ten captions.",
        size="val 4,500 images with 45,000 captions: 648 in, 2,938 near and 914 out of domain",
        splits=("val",),
        licence="not stated; images as in Open Images",
        home="https://nocaps.org/download",
        folder="nocaps",
        layout=(_FILE, "images/0013ea2087020901.jpg"),
        citation="Agrawal et al., nocaps: novel object captioning at scale, ICCV 2019",
    )

    def needs(self, split: str) -> Sequence[str]:  # noqa: ARG002 - there is one
        return (_FILE, "images")

    def read(self, folder: Path, split: str) -> Source:  # noqa: ARG002 - there is one
        found = captioned(read_coco(folder / _FILE, folder / "images"))
        domains: dict[str, str] = {}
        for image in load_json(folder / _FILE)["images"]:
            name, domain = str(image["file_name"]), image["domain"]
            if domain not in _DOMAINS:
                known = ", ".join(_DOMAINS)
                raise FileError(f"{name}: domain must be one of {known}; found {quoted(domain)}")
            if domains.setdefault(name, _DOMAINS[domain]) != _DOMAINS[domain]:
                raise FileError(f"{name}: must have one domain; it has two")
        names = () if found.media is None else found.media.names
        return replace(found, factors={"domain": [domains[name] for name in names]})
