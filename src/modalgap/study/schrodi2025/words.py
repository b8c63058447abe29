"""Words and images of the study ``ideal_words``: from files, or from a model trained on MAD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modalgap.data.mad import FACTORS, Captions, Mad
from modalgap.data.mad import source as mad_source
from modalgap.data.source import Source
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.store import load_any
from modalgap.encode import Options
from modalgap.encode import run as encode
from modalgap.errors import InputError, quoted
from modalgap.study import embedded
from modalgap.study.judge import IMAGES, digits_of, embed
from modalgap.train import Run
from modalgap.train.captions import captions_of

Rows = NDArray[np.float64]
Ints = NDArray[np.int64]
OBJECT = "object"


@dataclass(frozen=True)
class Words:
    """The words of one factor.

    Attributes:
        real: (c, d) unit texts of the words.
        ideal: (c, d) ideal words.
        images: (c, d) ideal images; zero for a word without training images.
        labels: (n,) the word of each test image.
    """

    real: Rows
    ideal: Rows
    images: Rows
    labels: Ints

    @property
    def known(self) -> NDArray[np.bool_]:
        """(c,) whether a word has training images."""
        return np.asarray(self.images.any(axis=1))


@dataclass(frozen=True)
class Data:
    """The input of one set of rows.

    Attributes:
        images: (n, d) unit test images.
        groups: (n,) images with equal numbers are dependent.
        words: factor to its words; the factor "object" and at least one attribute.
        u0: (d,) the mean of all prompts.
        mean: (d,) the mean of the unit training images.
    """

    images: Rows
    groups: Ints
    words: Mapping[str, Words]
    u0: Rows
    mean: Rows


def means(rows: Rows, labels: Ints, classes: int) -> Rows:
    """(c, d) the mean row of each class; zero without rows. Labels below 0 are left out."""
    used = labels >= 0
    sums = np.zeros((classes, rows.shape[1]))
    np.add.at(sums, labels[used], rows[used])
    return sums / np.maximum(np.bincount(labels[used], minlength=classes), 1)[:, None]


# MAD --------------------------------------------------------------------------------------------


def of_mad(run: Run, mad: Mad) -> Data:
    """The words of MAD and the images of held-out digits, encoded by a model."""
    captions = captions_of(run.config.data.captions)
    pair = embed(run, mad, captions)
    found = mad_source(mad, captions, split="train", images=IMAGES)
    options = Options(batch_size=256, workers=0, keep_repeats=True)
    train = encode(found, run.spec, options=options).data
    assert isinstance(train, Pair)  # noqa: S101 - the source has both sides
    seen = _rows(train.image)
    texts, codes = compositions(captions)
    prompts = _texts(texts, run)
    words = {}
    for column, (factor, values) in enumerate(FACTORS.items()):
        name = OBJECT if factor == captions.object else factor
        number = {value: code for code, value in enumerate(values)}
        labels, own = (
            np.array([number[str(value)] for value in side.factors[name]])
            for side in (pair.image, train.image)
        )
        words[name] = Words(
            real=_texts(values, run),
            ideal=means(prompts, codes[:, column], len(values)),
            images=means(seen, own, len(values)),
            labels=labels,
        )
    return Data(_rows(pair.image), digits_of(pair), words, prompts.mean(0), seen.mean(0))


def compositions(captions: Captions, seed: int = 0) -> tuple[list[str], Ints]:
    """Prompts of all compositions of a digit with the number of attributes that captions name.

    Returns:
        The prompts, whose words are in a random order; and (m, 6) codes of the factors in the
        order of ``FACTORS``, -1 if the prompt does not name the factor.
    """
    random = np.random.default_rng(seed)
    others = [name for name in FACTORS if name != captions.object]
    texts, codes = [], []
    for chosen in combinations(others, captions.attributes or 0):
        named = [captions.object, *chosen]
        columns = [list(FACTORS).index(name) for name in named]
        for values in product(*(range(len(FACTORS[name])) for name in named)):
            row = np.full(len(FACTORS), -1, np.int64)
            row[columns] = values
            said = [FACTORS[name][code] for name, code in zip(named, values, strict=True)]
            texts.append("-".join(random.permutation(said)))
            codes.append(row)
    return texts, np.stack(codes)


def _texts(texts: Sequence[str], run: Run) -> Rows:
    """(m, d) unit rows of texts."""
    made = encode(
        Source(name="words", texts=list(texts)),
        run.spec,
        options=Options(batch_size=256, workers=0, keep_repeats=True),
    )
    assert isinstance(made.data, Embeddings)  # noqa: S101 - the source has texts only
    return _rows(made.data)


def _rows(side: Embeddings) -> Rows:
    return np.asarray(side.unit().double().numpy())


# files ------------------------------------------------------------------------------------------


def _side(file: str | Path, name: str) -> Embeddings:
    """One modality of a file of one or two."""
    found = load_any(file)
    if isinstance(found, Pair):
        return found.image if name == "image" else found.text
    return found


def of_files(files: Sequence[str], train_images: str, prompts_file: str) -> tuple[Data, list[str]]:
    """Match words, images and prompts by the values of their factors.

    Args:
        files: test images with the words of attributes, and with those of objects.
        train_images: the training images.
        prompts_file: the prompts.

    Returns:
        The data, and the fingerprints of the files.

    Raises:
        InputError: a file lacks labels, a factor, or a value; or files do not fit together.
    """
    pairs = [embedded.paired(file) for file in files]
    others = [train_images, prompts_file]
    sides = [_side(train_images, "image"), _side(prompts_file, "text")]
    first, train, prompts = pairs[0], *sides
    widths = [each.dim for each in pairs] + [each.dim for each in sides]
    for file, width in zip([*files, *others], widths, strict=True):
        if width != first.dim:
            raise InputError(f"{file}: has {width} columns; {files[0]} has {first.dim}")
    if pairs[1].image.n != first.image.n:
        raise InputError(
            f"{files[1]}: must have the images of {files[0]}, {first.image.n}; has"
            f" {pairs[1].image.n}"
        )
    seen, said = _rows(train), _rows(prompts)
    words: dict[str, Words] = {}
    for file, pair, role in zip(files, pairs, ("attribute", OBJECT), strict=True):
        if pair.labels is None or len(pair.text.factors) != 1:
            raise InputError(
                f"{file}: must have labels, and words with one factor, as modalgap encode"
                " --label-column writes them"
            )
        ((factor, values),) = pair.text.factors.items()
        number = {str(value): code for code, value in enumerate(values)}
        codes = []
        for other, side in zip(others, sides, strict=True):
            if factor not in side.factors:
                raise InputError(f"{other}: must have the factor {quoted(factor)} of {file}")
            codes.append(np.array([number.get(str(each), -1) for each in side.factors[factor]]))
            if not (codes[-1] >= 0).any():
                raise InputError(f"{other}: must have values of {quoted(factor)} that {file} has")
        lost = sorted(set(range(len(number))) - set(codes[1].tolist()))
        if lost:
            raise InputError(
                f"{others[1]}: must have prompts of every word of {file};"
                f" {quoted(list(number)[lost[0]])} has none"
            )
        words[role] = Words(
            real=_rows(pair.text),
            ideal=means(said, codes[1], len(number)),
            images=means(seen, codes[0], len(number)),
            labels=np.asarray(pair.labels),
        )
    prints = [each.fingerprint for each in pairs] + [each.fingerprint for each in sides]
    groups = np.arange(first.image.n)
    return Data(_rows(first.image), groups, words, said.mean(0), seen.mean(0)), prints
