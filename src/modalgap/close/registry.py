"""CLOSERS: every closer, in the order in which tables show them."""

from __future__ import annotations

from modalgap.close.base import Closer
from modalgap.close.cca import cca
from modalgap.close.center import center
from modalgap.close.drop_dims import drop_dims
from modalgap.close.isoclip import isoclip
from modalgap.close.noise import noise
from modalgap.close.none import none
from modalgap.close.pca_text import pca_text
from modalgap.close.procrustes import procrustes
from modalgap.close.project import project
from modalgap.close.realign import realign
from modalgap.close.ridge import ridge
from modalgap.close.shift import shift
from modalgap.close.spectral import spectral
from modalgap.close.standardize import standardize
from modalgap.close.transport import transport
from modalgap.close.whiten import whiten

CLOSERS: dict[str, Closer] = {
    closer.name: closer
    for closer in (
        none,
        center,
        project,
        shift,
        standardize,
        realign,
        whiten,
        drop_dims,
        pca_text,
        procrustes,
        cca,
        ridge,
        isoclip,
        noise,
        transport,
        spectral,
    )
}
