"""PROTOCOLS: every protocol of search, in the order in which tables show them."""

from __future__ import annotations

from functools import partial

from modalgap.search.base import Protocol
from modalgap.search.by_class import first_caption, self_removed, split
from modalgap.search.by_judgement import revisited
from modalgap.search.mixed import mixed
from modalgap.search.ranking import Planner, rank
from modalgap.search.zero_shot import classify


def _ranked(*, name: str, about: str, planner: Planner) -> Protocol:
    texts = planner is first_caption
    return Protocol(
        name=name,
        about=about,
        run=partial(rank, name, planner),
        side="text" if texts else "image",
    )


PROTOCOLS: dict[str, Protocol] = {
    each.name: each
    for each in (
        _ranked(
            name="split",
            about="two separate sets; items of the query's class are relevant",
            planner=split,
        ),
        _ranked(
            name="self_removed",
            about="the gallery also holds the query, which is ignored; items of its class are"
            " relevant",
            planner=self_removed,
        ),
        _ranked(
            name="first_caption",
            about="the first caption of an image is the query; its other captions are relevant",
            planner=first_caption,
        ),
        _ranked(
            name="easy",
            about="Revisited Oxford and Paris: easy images are relevant; hard images and junk are"
            " ignored",
            planner=partial(revisited, relevant=("easy",), ignored=("junk", "hard")),
        ),
        _ranked(
            name="medium",
            about="Revisited Oxford and Paris: easy and hard images are relevant; junk is ignored",
            planner=partial(revisited, relevant=("easy", "hard"), ignored=("junk",)),
        ),
        _ranked(
            name="hard",
            about="Revisited Oxford and Paris: hard images are relevant; easy images and junk are"
            " ignored",
            planner=partial(revisited, relevant=("hard",), ignored=("junk", "easy")),
        ),
        Protocol(
            name="mixed",
            about="the gallery holds several modalities in one list; items of the query's class, or"
            " of its item, are relevant in every modality",
            run=mixed,
            scales=True,
        ),
        Protocol(
            name="zero_shot",
            about="the gallery holds class prompts; the prompt of the query's class is relevant",
            run=classify,
        ),
    )
}
