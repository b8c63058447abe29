"""Named data sets, one per file."""

from modalgap.data.dataset import Dataset
from modalgap.data.sets.caltech101 import Caltech101
from modalgap.data.sets.cc3m import CC3M
from modalgap.data.sets.cc12m import CC12M
from modalgap.data.sets.cifar10 import CIFAR10
from modalgap.data.sets.cifar100 import CIFAR100
from modalgap.data.sets.coco import COCO
from modalgap.data.sets.coco_modal_equiv import COCOModalEquiv
from modalgap.data.sets.cub import CUB
from modalgap.data.sets.dci import DCI
from modalgap.data.sets.dtd import DTD
from modalgap.data.sets.emoji import Emoji
from modalgap.data.sets.eurosat import EuroSAT
from modalgap.data.sets.fairface import FairFace
from modalgap.data.sets.fgvc_aircraft import FGVCAircraft
from modalgap.data.sets.flickr8k import Flickr8k
from modalgap.data.sets.flickr30k import Flickr30k
from modalgap.data.sets.flowers102 import Flowers102
from modalgap.data.sets.food101 import Food101
from modalgap.data.sets.hateful_memes import HatefulMemes
from modalgap.data.sets.imagenet import ImageNet
from modalgap.data.sets.imagenet_100_cmc import ImageNet100CMC
from modalgap.data.sets.imagenet_100_kaggle import ImageNet100Kaggle
from modalgap.data.sets.imagenet_100_mcm import ImageNet100MCM
from modalgap.data.sets.imagenet_a import ImageNetA
from modalgap.data.sets.imagenet_r import ImageNetR
from modalgap.data.sets.imagenet_sketch import ImageNetSketch
from modalgap.data.sets.imagenet_v2 import ImageNetV2
from modalgap.data.sets.imdb import IMDB
from modalgap.data.sets.mit_states import MITStates
from modalgap.data.sets.mixbench import MixBench
from modalgap.data.sets.mnist import MNIST
from modalgap.data.sets.nanobeir import NanoBEIR
from modalgap.data.sets.newsgroups import Newsgroups
from modalgap.data.sets.nocaps import NoCaps
from modalgap.data.sets.oxford_pets import OxfordPets
from modalgap.data.sets.roxford5k import ROxford5k
from modalgap.data.sets.rparis6k import RParis6k
from modalgap.data.sets.sop import StanfordOnlineProducts
from modalgap.data.sets.stanford_cars import StanfordCars
from modalgap.data.sets.sun397 import SUN397
from modalgap.data.sets.svhn import SVHN
from modalgap.data.sets.ucf101 import UCF101
from modalgap.data.sets.ut_zappos import UTZappos

_SETS: tuple[type[Dataset], ...] = (
    Caltech101,
    CC12M,
    CC3M,
    CIFAR10,
    CIFAR100,
    COCO,
    COCOModalEquiv,
    CUB,
    DCI,
    DTD,
    Emoji,
    EuroSAT,
    FairFace,
    FGVCAircraft,
    Flickr30k,
    Flickr8k,
    Flowers102,
    Food101,
    HatefulMemes,
    ImageNet,
    ImageNet100CMC,
    ImageNet100Kaggle,
    ImageNet100MCM,
    ImageNetA,
    ImageNetR,
    ImageNetSketch,
    ImageNetV2,
    IMDB,
    MITStates,
    MixBench,
    MNIST,
    NanoBEIR,
    Newsgroups,
    NoCaps,
    OxfordPets,
    ROxford5k,
    RParis6k,
    StanfordCars,
    StanfordOnlineProducts,
    SUN397,
    SVHN,
    UCF101,
    UTZappos,
)

DATASETS: dict[str, Dataset] = {each.card.name: each() for each in _SETS}
