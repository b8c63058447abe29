"""OVI: optimise vectors in place of image patches until the image feature equals the text feature.

Vectors v_1 … v_k are spread over all patch positions. They are optimised until the image feature
has the direction of the text feature. The class token and the positions do not change. Source:
Mistretta et al. 2025. Fails when the image tower has no patches, and when few vectors cannot
express the text.
"""

from __future__ import annotations

from modalgap import checks
from modalgap.card import Card
from modalgap.errors import NotApplicable, OptionError
from modalgap.invert.base import InversionContext, Inverter
from modalgap.invert.method import Inversion
from modalgap.invert.optimise import Descender, Loss, SearchOptions, default_steps
from modalgap.invert.presets import patches_of
from modalgap.invert.pseudo_inputs import FromPatches

CARD = Card(
    name="ovi",
    title="Optimisation-based visual inversion",
    idea=(
        "Optimises pseudo-patches, repeated over the patch positions, until their image feature"
        " matches the text feature."
    ),
    equation=r"\min_{v_1 \dots v_k} 1 - \cos\bigl(f_I(v_{\lfloor i k / n \rfloor},"
    r"\ i = 0 \dots n - 1),\ y\bigr)",
    source="Mistretta et al. 2025",
    roles=("text",),
    needs=("model", "patches"),
    use_when="Text queries in a gallery of texts.",
    fails_when="Each step costs as much as encoding an image, plus its gradient.",
)
USUAL = {"adamw": 1000, "lbfgs": 60}


def _ovi(
    context: InversionContext,
    *,
    tokens: int | None = None,
    optimiser: str = "lbfgs",
    steps: int | None = None,
    lr: float = 0.02,
    weight_decay: float = 0.01,
    std: float = 0.02,
    wanted: float | None = None,
    keep: str = "last",
    loss: str | Loss = "cosine",
) -> Inverter:
    """Optimise pseudo-patches for each text.

    Args:
        context: provides the model.
        tokens: number of pseudo-patches per item; by default the paper's number for the backbone,
            and one for other backbones.
        optimiser: "lbfgs", or "adamw", as in the paper, which needs many more steps.
        steps: number of steps; by default 60, and 1,000 for AdamW as in the paper.
        lr: learning rate of AdamW.
        weight_decay: weight decay of AdamW.
        std: standard deviation of the initial noise.
        wanted: the cosine at which an item stops.
        keep: "last" or "best", the step of AdamW to return.
        loss: "cosine", "angle", or a function of unit features and targets (b, d) to (b,).
    """
    encoder = context.encoder
    assert encoder is not None  # noqa: S101 - the card says that it needs a model
    tower = encoder.image_tower()
    if tower is None:
        raise NotApplicable(
            f"{encoder.spec}: pseudo-patches need an image tower with patches, a vision"
            f" transformer; it takes {encoder.modalities[0]}s through another kind, such as a"
            " convolutional net"
        )
    count = patches_of(encoder.spec) if tokens is None else tokens
    checks.whole("tokens", count, 1, 1_000_000)
    if count > tower.shape[0]:
        raise OptionError(
            f"tokens: must be at most {tower.shape[0]}, the patches of {encoder.spec}; got {count}"
        )
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
    objective = FromPatches(tower, count, context.device)
    return Descender(
        context,
        objective,
        count=count,
        width=objective.width,
        search=search,
        settings={"tokens": count},
    )


ovi = Inversion(CARD, _ovi)
