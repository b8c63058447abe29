"""MAD: images of digits with six factors, and captions that name any number of the factors.

From Schrodi et al. 2025, "Two Effects, One Trigger": the information that captions leave out
determines the modality gap and the object bias, and MAD controls it. ``build`` makes the data,
``load`` opens it, ``Captions`` writes its texts and ``source`` passes both to ``encode``.
``profiles`` gives a third modality: a short signal for each image.
"""

from modalgap.data.mad.captions import Captions
from modalgap.data.mad.digits import Digits, digits
from modalgap.data.mad.factors import FACTORS, VARIANTS, WORDS
from modalgap.data.mad.profiles import profiles
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
    "profiles",
    "source",
]
