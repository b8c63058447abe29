"""CLOSERS: every closer, in the order in which tables show them.

To add one, write its file and import it here.
"""

from modalgap.close.base import Closer
from modalgap.close.none import none as none
from modalgap.close.center import center as center
from modalgap.close.erase_gap import erase_gap as erase_gap
from modalgap.close.project import project as project
from modalgap.close.shift import shift as shift
from modalgap.close.standardize import standardize as standardize
from modalgap.close.realign import realign as realign
from modalgap.close.whiten import whiten as whiten
from modalgap.close.drop_dims import drop_dims as drop_dims
from modalgap.close.pca_text import pca_text as pca_text
from modalgap.close.procrustes import procrustes as procrustes
from modalgap.close.cca import cca as cca
from modalgap.close.shared_subspace import shared_subspace as shared_subspace
from modalgap.close.ridge import ridge as ridge
from modalgap.close.isoclip import isoclip as isoclip
from modalgap.close.noise import noise as noise
from modalgap.close.transport import transport as transport
from modalgap.close.spectral import spectral as spectral
from modalgap.method import collect as _collect

CLOSERS: dict[str, Closer] = _collect(globals(), Closer)
