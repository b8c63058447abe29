"""A closed model made of sentence-transformers' own modules, so that it loads without modalgap.

A step x ↦ norm(A x + b) is Dense (identity activation) and Normalize; a Router selects the steps of
the modality. Roles called query and document are tasks of the library: ``encode_query`` and
``encode_document`` use them, whatever the modality.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Router
from torch import Tensor, nn

from modalgap.encode.closed import AffineStep
from modalgap.errors import NotApplicable
from modalgap.modality import listed
from modalgap.progress import note

MODALITIES = ("text", "image", "audio", "video")
TASKS = ("query", "document")


def closed_model(
    model: SentenceTransformer, steps: Mapping[str, Sequence[AffineStep]], spec: str
) -> SentenceTransformer:
    """The model with a map after its modules.

    Args:
        model: the model; its modules are shared.
        steps: modality, or task of the library, to the steps of the map.
        spec: the name of the model, for messages.

    Returns:
        A model whose ``encode`` closes. If all roles have the same steps, they follow the modules
        directly; otherwise a Router selects them, and inputs of other modalities are an error.

    Raises:
        NotApplicable: no role is a modality of the model or a task, or the model truncates.
    """
    accepted = [each for each in MODALITIES if each in model.modalities]
    chosen = {role: each for role, each in steps.items() if role in (*accepted, *TASKS)}
    if not any(role in accepted for role in chosen):
        raise NotApplicable(
            f"{spec}: the map must have a role among {', '.join(accepted)}, which the model takes;"
            f" has {', '.join(steps)}"
        )
    if getattr(model, "truncate_dim", None) is not None:
        raise NotApplicable(f"{spec}: must not truncate its features (truncate_dim)")
    if left := [role for role in steps if role not in chosen]:
        note(f"{spec}: takes no {listed(left)}; this part of the map is not saved")
    if without := [each for each in accepted if each not in chosen]:
        note(f"{spec}: the map has no {listed(without)}; the closed model refuses them")
    modules: dict[str, nn.Module] = dict(model.named_children())
    first = next(iter(modules))
    one = next(iter(chosen.values()))
    if not without and all(_same(each, one) for each in chosen.values()):
        added: list[nn.Module] = _modules(one)
    else:
        added = [_router({role: _modules(each) for role, each in chosen.items()}, accepted)]
        if "message" in model.modalities and not isinstance(modules[first], Router):
            # chats hide the modality from later modules; a Router keeps it
            kept = [role for role in chosen if role in accepted]
            modules[first] = _router({role: [modules[first]] for role in kept}, accepted)
    names = (str(number) for number in range(len(modules), len(modules) + len(added)))
    every: Any = OrderedDict([*modules.items(), *zip(names, added, strict=True)])
    closed = SentenceTransformer(
        modules=every,
        device=str(model.device),
        prompts={name: prompt for name, prompt in model.prompts.items() if prompt is not None},
        default_prompt_name=model.default_prompt_name,
        similarity_fn_name=model.similarity_fn_name,
    )
    closed.module_kwargs = model.module_kwargs
    return closed.eval()


def _modules(steps: Sequence[AffineStep]) -> list[nn.Module]:
    """The modules of the steps of one role."""
    found: list[nn.Module] = [Normalize()]
    for matrix, offset, unit in steps:
        if matrix is not None:
            found.append(_dense(matrix if matrix.ndim == 2 else torch.diag(matrix), offset))
        elif offset is not None:
            found.append(_dense(torch.eye(len(offset)), offset))
        if unit:
            found.append(Normalize())
    return found


def _dense(matrix: Tensor, offset: Tensor | None) -> Dense:
    width, before = matrix.shape
    return Dense(
        before,
        width,
        bias=offset is not None,
        activation_function=nn.Identity(),
        init_weight=matrix.float(),
        init_bias=None if offset is None else offset.float(),
    )


def _router(routes: Mapping[str, list[Any]], accepted: Sequence[str]) -> Router:
    """A Router by modality, and by task where a route is one; other inputs are an error."""
    keys: dict[Any, str] = {
        ((None, each) if each in accepted else (each, None)): each for each in routes
    }
    if len(accepted) == 1:  # modules of texts do not name the modality
        keys[None, None] = accepted[0]
    return Router(dict(routes), allow_empty_key=False, route_mappings=keys)


def _same(steps: Sequence[AffineStep], others: Sequence[AffineStep]) -> bool:
    """Whether two roles have the same steps."""
    return len(steps) == len(others) and all(
        one[2] == other[2] and all(_equal(one[i], other[i]) for i in (0, 1))
        for one, other in zip(steps, others, strict=True)
    )


def _equal(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return bool(torch.equal(one, other))
