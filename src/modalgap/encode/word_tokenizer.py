"""A tokenizer of whole words: one token per word, for captions of few words.

It is written as a ``tokenizer.json`` of the tokenizers library, so that open_clip and transformers
can load it without modalgap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from modalgap.errors import OptionError, quoted

MOST = 50_000  # words
PAD, START, UNKNOWN, END = "[PAD]", "[START]", "[UNKNOWN]", "[END]"


def size_of(words: Sequence[str]) -> int:
    """The vocabulary size of the tokenizer of these words."""
    return len(words) + 4


def vocabulary(texts: Iterable[str], most: int = MOST) -> list[str]:
    """The words of captions, as the tokenizer splits them, in alphabetical order.

    Args:
        texts: the captions.
        most: maximum number of words; of more, the most frequent ones.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text.lower().replace("-", " ").split())
    return sorted(sorted(counts, key=lambda word: (-counts[word], word))[:most])


def write_tokenizer(words: Sequence[str], folder: Path) -> None:
    """Write the tokenizer of ``words``. Captions join words by "-" or spaces.

    The end token has the largest id: CLIP's text tower reads its feature there.

    Args:
        words: distinct words without spaces or "-".
        folder: the folder to write to.

    Raises:
        OptionError: words are equal, or would be split.
    """
    split = [word for word in words if not word or set(word) & set("- \t\n")]
    if split or len({word.lower() for word in words}) < len(words):
        raise OptionError(
            f"words: must be distinct and without spaces or '-'; got {quoted(words)}"[:200]
        )
    ids = {word: i for i, word in enumerate([PAD, START, UNKNOWN, *map(str.lower, words), END])}
    made = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("-", "removed")]
    )
    made.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, ids[START]), (END, ids[END])]
    )
    wrapped = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=made,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
    )
    wrapped.save_pretrained(str(folder))
