"""Read folders of items: files of one item have one name, or each modality has a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from modalgap.data.items import VIDEO, Items
from modalgap.data.media import IMAGES, SOUNDS, Documents, Files, Kind, Media
from modalgap.data.plugins import lacking
from modalgap.data.reading import read_text, reading
from modalgap.data.sources.item_columns import FRAMES, TEXT, modality_of
from modalgap.data.text import full_lines
from modalgap.data.walk import Tree, ending_of, walk
from modalgap.errors import FileError

TEXTS = (".txt", ".caption")
OTHER = "not an image, a sound or a .txt of an item"
Place = tuple[str, str]  # modality, item id


def read_item_folder(folder: Path) -> Items | None:
    """Read a folder of files of several modalities; None if it holds images or sounds only.

    If every image and sound is in a folder directly in this one, and each of these folders holds
    one kind of files, a folder is a modality: ``speech/7.wav`` belongs to item 7, and
    ``video/7/000.png`` is a frame of it. Else files of one name belong to one item: ``7.png``,
    ``7.wav``, ``7.txt``; a word before the ending names the modality: ``7.speech.wav``. Texts are
    captions, one per line.

    Raises:
        FileError: the folder cannot be read, or it holds both kinds but no item id is shared.
    """
    with reading(str(folder)):
        tree = walk(folder)
        kinds = {name: kind for name in tree.files if (kind := _kind(name))}
        tops = _folders(kinds)
        if tops is not None and (len({*tops.values()}) > 1 or any(_frames(top) for top in tops)):
            inside = {name: kind for name, kind in kinds.items() if "/" in name}
            return _items(tree, inside, _by_folder(tops), "one folder per modality")
        if not {*kinds.values()} >= {"image", "audio"}:
            return None
        return _items(tree, kinds, _by_name(kinds), "files of one name are one item")


def _kind(name: str) -> Kind | None:
    ending = ending_of(name)
    if ending in IMAGES:
        return "image"
    return "audio" if ending in SOUNDS else "text" if ending in TEXTS else None


def _frames(folder: str) -> bool:
    return folder.lower() in FRAMES


def _folders(kinds: Mapping[str, Kind]) -> dict[str, Kind] | None:
    """The folder of each modality and its kind; None if the folders are no modalities."""
    found: dict[str, set[Kind]] = {}
    for name, kind in kinds.items():
        top, slash, _ = name.partition("/")
        if not slash:
            if kind == "text":  # such as a licence
                continue
            return None
        found.setdefault(top, set()).add(kind)
    if len(found) < 2 or any(len(each) > 1 for each in found.values()):
        return None
    return {top: next(iter(each)) for top, each in found.items()}


def _by_folder(tops: Mapping[str, Kind]) -> Callable[[str], Place]:
    sides: dict[str, str] = {}
    for top, kind in tops.items():
        side = modality_of(top, kind, sides.values())
        plain = top.lower() in ("captions", "caption", "texts")
        sides[top] = TEXT if kind == "text" and plain and TEXT not in sides.values() else side

    def place(name: str) -> Place:
        top, _, rest = name.partition("/")
        inside = PurePosixPath(rest)
        if sides[top] == VIDEO and len(inside.parts) > 1:  # a folder of frames
            return VIDEO, inside.parent.as_posix()
        return sides[top], inside.with_suffix("").as_posix()

    return place


def _by_name(kinds: Mapping[str, Kind]) -> Callable[[str], Place]:
    def place(name: str) -> Place:
        kind = kinds[name]
        whole = PurePosixPath(name).with_suffix("")
        word = whole.suffix[1:]
        if f".{word.lower()}" in IMAGES | SOUNDS:  # 7.png.txt
            return kind, whole.with_suffix("").as_posix()
        if word and word.isidentifier() and whole.stem:
            return word, whole.with_suffix("").as_posix()
        return kind, whole.as_posix()

    return place


def _items(
    tree: Tree, kinds: Mapping[str, Kind], place: Callable[[str], Place], rule: str
) -> Items:
    files: dict[str, list[tuple[str, str]]] = {}  # modality to (item, file)
    of_kind: dict[str, Kind] = {}
    lost = list(tree.lost)
    for name, kind in kinds.items():
        if kind != "text" and (why := lacking(ending_of(name))):
            lost.append((name, why))
            continue
        side, item = place(name)
        if of_kind.setdefault(side, kind) != kind:
            raise FileError(
                f"modality {side!r} must hold files of one kind; found {of_kind[side]} and {kind}"
                f" ({name})"
            )
        files.setdefault(side, []).append((item, name))
    order = {kind: i for i, kind in enumerate(("image", "audio", "text"))}
    sides: dict[str, Media] = {}
    ids: dict[str, Sequence[str]] = {}
    for side in sorted(files, key=lambda each: (order[of_kind[each]], each)):
        if of_kind[side] == "text":
            texts, ids[side] = _captions(tree.folder, files[side], lost)
            sides[side] = Documents(texts, ids[side])
        else:
            names = [name for _, name in files[side]]
            sides[side] = Files.under(tree.folder, names, of_kind[side])
            ids[side] = [item for item, _ in files[side]]
    several = [name for name in sides if len(sides[name])]
    found = Items(
        name=str(tree.folder),
        sides={side: sides[side] for side in several},
        ids={side: ids[side] for side in several},
        means=tuple(side for side in several if side == VIDEO),
        missing=tuple(lost),
        rule=rule,
        unused=(*((name, OTHER) for name in tree.files if name not in kinds), *tree.unused),
    )
    if len(several) > 1 and len(found.items) == sum(len(set(ids[side])) for side in several):
        first = [f"{side}: {ids[side][0]}" for side in several[:3]]
        raise FileError(
            "must hold files of the same name in two modalities, which are then one item; found"
            f" none ({', '.join(first)})"
        )
    return found


def _captions(
    folder: Path, files: Sequence[tuple[str, str]], lost: list[tuple[str, str]]
) -> tuple[list[str], list[str]]:
    """The captions in files, one per line, and the item of each."""
    texts: list[str] = []
    ids: list[str] = []
    for item, name in files:
        try:
            found = list(full_lines(read_text(folder / name)))
        except FileError as error:
            lost.append((name, str(error)))
            continue
        texts += found
        ids += [item] * len(found)
    return texts, ids
