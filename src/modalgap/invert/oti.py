"""OTI: an image feature as the feature of a text that holds vectors in the place of words.

Vectors v_1 … v_k stand in a prompt; they are moved until its text feature points where the image
feature points. What is then compared with images has crossed over to the text side, where the
training made cosines mean something. Source: Mistretta et al. 2025.
Fails where the text tower cannot say what the image shows, and where it is taken for zero-shot
classification, whose prompts are texts too: that becomes worse.
"""

from __future__ import annotations

from modalgap import checks
from modalgap.card import Card
from modalgap.errors import InputError
from modalgap.invert.base import InversionContext, Inverter
from modalgap.invert.method import Inversion
from modalgap.invert.optimise import Descender, Loss, SearchOptions, said_steps
from modalgap.invert.presets import template_of
from modalgap.invert.prompt import Prompt, text_tower_of
from modalgap.invert.pseudo_inputs import FromTokens

CARD = Card(
    name="oti",
    title="Optimisation-based textual inversion",
    idea="Optimises pseudo-tokens in a prompt until its text feature matches the image feature.",
    equation=r"\min_{v_1 \dots v_k} 1 - \cos\bigl(f_T(\text{a photo of } v_1 \dots v_k),\ x\bigr)",
    source="Mistretta et al. 2025",
    roles=("image",),
    needs=("model",),
    use_when="Image queries in a gallery of images.",
    fails_when="Zero-shot classification becomes worse; the best step may be an early one.",
)
USUAL = {"adamw": 150, "lbfgs": 30}


def _oti(
    context: InversionContext,
    *,
    template: str | None = None,
    tokens: int = 1,
    optimiser: str = "adamw",
    steps: int | None = None,
    lr: float = 0.02,
    weight_decay: float = 0.01,
    std: float = 0.02,
    wanted: float | None = None,
    keep: str = "last",
    loss: str | Loss = "cosine",
) -> Inverter:
    """Pseudo-tokens for each image.

    Args:
        context: the model.
        template: a sentence; every ``{}`` in it stands for all pseudo-tokens. By default "a photo
            of {}", or "{}" where the tower has at most 16 positions.
        tokens: how many pseudo-tokens an item has.
        optimiser: "adamw", as the paper, or "lbfgs", which needs a fraction of the steps.
        steps: how many; by default 150, the paper's, and 30 of L-BFGS.
        lr: step size of AdamW.
        weight_decay: of AdamW.
        std: of the noise that vectors start from.
        wanted: the cosine at which an item stops.
        keep: "last" or "best", of AdamW's steps.
        loss: "cosine", "angle", or a function of unit features and targets (b, d) to (b,).
    """
    assert context.encoder is not None  # noqa: S101 - the card says that it needs a model
    checks.whole("tokens", tokens, 1, 10_000)
    tower = text_tower_of(context.encoder)
    said = template_of(tower.context) if template is None else template
    prompt = Prompt.of(said, tokens, context.encoder)
    search = SearchOptions(
        optimiser=optimiser,
        steps=said_steps(steps, optimiser, USUAL),
        lr=lr,
        weight_decay=weight_decay,
        std=std,
        wanted=wanted,
        keep=keep,
        loss=loss,
    )
    objective = FromTokens(tower, prompt, context.device)
    if not bool(objective.embedded.isfinite().all()):
        raise InputError(f"{context.encoder.spec}: embeds words as nan or infinity")
    return Descender(
        context,
        objective,
        count=tokens,
        width=objective.width,
        search=search,
        settings={"template": said, "tokens": tokens},
    )


oti = Inversion(CARD, _oti)
