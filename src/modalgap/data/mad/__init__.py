"""MAD: digits with six factors, whose captions tell as many of them as you like.

From Schrodi et al. 2025, "Two Effects, One Trigger": how much a caption leaves out is what moves
the modality gap and the object bias, and here it can be set. ``build`` makes it, ``load`` opens
it, ``Captions`` writes its texts and ``source`` hands both to ``encode``.
"""

from modalgap.data.mad.captions import Captions
from modalgap.data.mad.digits import Digits, digits
from modalgap.data.mad.factors import FACTORS, VARIANTS, WORDS
from modalgap.data.mad.sheet import contact_sheet
from modalgap.data.mad.source import source
from modalgap.data.mad.store import Mad, build, load

__all__ = [
    "FACTORS",
    "VARIANTS",
    "WORDS",
    "Captions",
    "Digits",
    "Mad",
    "build",
    "contact_sheet",
    "digits",
    "load",
    "source",
]
