"""Fixtures of the tests of encode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import transformers
from encode.transformers_cases import (
    CASES,
    FIVE,
    Made,
)

from modalgap.encode.libraries.transformers import load
from modalgap.encode.quiet import quiet


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """make(name): one of the ``CASES``, made once."""
    known: dict[str, Made] = {}

    def made(name: str) -> Made:
        if name not in known:
            folder = tmp_path_factory.mktemp("hf") / name.replace(", ", "_").replace(" ", "_")
            folder.mkdir()
            model = CASES[name].make(folder)
            pil: dict[str, Any] = {"backend": "pil"} if FIVE else {"use_fast": False}
            with quiet():
                tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
                processor = (
                    transformers.ClapFeatureExtractor.from_pretrained(folder)
                    if "clap" in name
                    else transformers.AutoImageProcessor.from_pretrained(folder, **pil)
                )
            ours = load(str(folder), f"hf:{folder}", 0)
            known[name] = Made(folder, model, tokenizer, processor, CASES[name].context, ours)
        return known[name]

    return made


@pytest.fixture(params=list(CASES))
def made(request: pytest.FixtureRequest, make: Callable[[str], Made]) -> Made:
    return make(request.param)


@pytest.fixture(scope="session")
def make_st(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """make_st(name): one of the small models of sentence-transformers, made once."""
    from encode.sentence_transformers_cases import MadeModel, made_model

    known: dict[str, MadeModel] = {}

    def made(name: str) -> MadeModel:
        if name not in known:
            folder = tmp_path_factory.mktemp("st") / name
            folder.mkdir()
            known[name] = made_model(name, folder)
        return known[name]

    return made
