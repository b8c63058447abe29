"""OTI: optimise vectors in a text prompt until the text feature equals the image feature.

Vectors v_1 … v_k replace words of a prompt. They are optimised until the text feature of the prompt
has the direction of the image feature. Image queries become text features, and cosines between the
modalities are what the model was trained for. Source: Mistretta et al. 2025.
Fails when the text tower cannot express the content of the image. Zero-shot classification becomes
worse, since its prompts are texts too.
"""

from __future__ import annotations

from modalgap import checks
from modalgap.card import Card
from modalgap.errors import InputError
from modalgap.invert.base import InversionContext, Inverter
from modalgap.invert.method import Inversion
from modalgap.invert.optimise import Descender, Loss, SearchOptions, default_steps
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
    """Optimise pseudo-tokens for each image.

    Args:
        context: provides the model.
        template: a sentence; every ``{}`` in it is replaced by all pseudo-tokens. By default "a
            photo of {}", or "{}" if the tower has at most 16 positions.
        tokens: number of pseudo-tokens per item.
        optimiser: "adamw", as in the paper, or "lbfgs", which needs fewer steps.
        steps: number of steps; by default 150 as in the paper, and 30 for L-BFGS.
        lr: learning rate of AdamW.
        weight_decay: weight decay of AdamW.
        std: standard deviation of the initial noise.
        wanted: the cosine at which an item stops.
        keep: "last" or "best", the step of AdamW to return.
        loss: "cosine", "angle", or a function of unit features and targets (b, d) to (b,).
    """
    assert context.encoder is not None  # noqa: S101 - the card says that it needs a model
    checks.whole("tokens", tokens, 1, 10_000)
    tower = text_tower_of(context.encoder)
    sentence = template_of(tower.context) if template is None else template
    prompt = Prompt.of(sentence, tokens, context.encoder)
    search = SearchOptions(
        optimiser=optimiser,
        steps=default_steps(steps, optimiser, USUAL),
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
        settings={"template": sentence, "tokens": tokens},
    )


oti = Inversion(CARD, _oti)
