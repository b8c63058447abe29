"""METHODS: every way of inverting, in the order in which tables show them."""

from __future__ import annotations

from modalgap.invert.base import Inversion
from modalgap.invert.caption_mixture import caption_mixture
from modalgap.invert.gap_shift import gap_shift
from modalgap.invert.oti import oti
from modalgap.invert.ovi import ovi
from modalgap.invert.ridge_map import ridge_map

METHODS: dict[str, Inversion] = {
    method.name: method for method in (oti, ovi, caption_mixture, ridge_map, gap_shift)
}
