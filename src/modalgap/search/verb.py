"""The verb: search a gallery by queries from another set of embeddings."""

from __future__ import annotations

import numpy as np

from modalgap import checks
from modalgap.arguments import checked
from modalgap.close.scores import ScoreScaler
from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.errors import OptionError
from modalgap.evaluate.base import Ints
from modalgap.result import Result
from modalgap.search.base import LABEL, ROW
from modalgap.search.registry import PROTOCOLS


@checked
def search(
    queries: Embeddings,
    gallery: Embeddings | Pair | Modalities,
    protocol: str = "split",
    *,
    factor: str | None = None,
    scaler: ScoreScaler | None = None,
    seed: int = 0,
) -> Result:
    """Search a gallery by queries from another set of embeddings, and measure the ranking.

    For example, inverted image features, which a text tower made, are searched among native image
    features.

    Args:
        queries: (n, d) rows, native or inverted.
        gallery: (m, d) rows. Of a pair, the side with the modality of the queries is searched, or
            the side that inverted queries were made from (provenance ``inverted_from``). For
            zero_shot: the class prompts, or a pair whose texts are class prompts.
        protocol: which queries are used and which items are relevant; a name in ``PROTOCOLS``.
            easy, medium and hard need the factors ``easy``, ``hard`` and ``junk`` of the queries.
            They use the factor ``role`` to select rows if there is one. first_caption finds
            queries in the gallery by their factor ``row``, or by name.
        factor: the factor that defines the classes, or that says which captions describe one
            image. The default is the labels, or the only factor that both sets have. For
            zero_shot: the factor of the queries that names their prompt. The default is
            ``label``, or the only factor. If a pair with labels is given, integers in ``label``
            are positions of its prompts, from 0.
        scaler: for mixed, the means and deviations of scores, fitted before on a sample; by default
            they are computed from queries and gallery.
        seed: for the bootstrap.

    Returns:
        A ``Result`` with 95 % bootstrap intervals over queries. split, self_removed and
        first_caption give ``map``, ``map_at_r``, ``r_precision`` and ``r1``. easy, medium and hard
        give ``map``, ``mp_1``, ``mp_5`` and ``mp_10``. zero_shot gives ``top1``, ``top5`` and
        ``mean_per_class``. mixed gives ``ndcg10``, ``r1`` and the fraction of each modality among
        the first ten, raw and standardised, and more; see modalgap.search.mixed. Queries without a
        relevant item are ignored; ``left_out`` is their
        number.

    Raises:
        OptionError: an unknown protocol, a factor where none can be chosen, or a scaler for another
            protocol than mixed.
        InputError: the two sets do not fit together, a name or row is invalid, or a class has no
            prompt or two prompts.
        NotApplicable: names, classes or judgements that the protocol needs are missing.
    """
    if protocol not in PROTOCOLS:
        raise OptionError.unknown("protocol", protocol, PROTOCOLS)
    checks.whole("seed", seed, 0)
    chosen = PROTOCOLS[protocol]
    if chosen.scales:
        return chosen.run(queries, gallery, factor, seed, scaler)
    if scaler is not None:
        raise OptionError(f"scaler: is for protocol mixed; got it with {protocol}")
    return chosen.run(queries, gallery, factor, seed)


def query_side(pair: Pair, protocol: str = "split") -> Embeddings:
    """The queries in a pair.

    Args:
        pair: both modalities.
        protocol: as for ``search``. first_caption uses the texts, with their position as factor
            ``row``; the others use the images, with the labels of the pair as factor ``label``.

    Raises:
        OptionError: an unknown protocol.
    """
    if protocol not in PROTOCOLS:
        raise OptionError.unknown("protocol", protocol, PROTOCOLS)
    if PROTOCOLS[protocol].side == "text":
        return _with_factor(pair.text, ROW, np.arange(pair.text.n))
    return pair.image if pair.labels is None else _with_factor(pair.image, LABEL, pair.labels)


def _with_factor(side: Embeddings, name: str, values: Ints) -> Embeddings:
    factors = {**side.factors, name: values}
    return Embeddings(side.rows, side.modality, side.names, factors, side.provenance, side.source)
