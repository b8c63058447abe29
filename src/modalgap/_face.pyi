"""What type checkers see of the verbs. Written by tests/face.py: do not edit."""

from collections.abc import Mapping as _Mapping
from collections.abc import Sequence as _Sequence
from modalgap.close.base import Closer as _Closer
from modalgap.close.scores.scaler import ScoreScaler as _ScoreScaler
from modalgap.data.items import Items as _Items
from modalgap.data.media import Media as _Media
from modalgap.data.source import Source as _Source
from modalgap.embeddings.arrays import Rows as _Rows
from modalgap.embeddings.embeddings import Embeddings as _Embeddings
from modalgap.embeddings.modalities import Modalities as _Modalities
from modalgap.embeddings.pair import Pair as _Pair
from modalgap.encode.base import Encoder as _Encoder
from modalgap.evaluate.verb import Only as _evaluate_Only
from modalgap.invert.method import Inversion as _Inversion
from modalgap.invert.output import Inverted as _Inverted
from modalgap.measure.verb import Only as _measure_Only
from modalgap.result.result import Result as _Result
from modalgap.result.table import Table as _Table
from modalgap.simulate.base import Simulation as _Simulation
from modalgap.study.base import Study as _Study
from modalgap.train.config import Config as _Config
from modalgap.train.result import Run as _Run
from modalgap.zoo.results import Zoo as _Zoo
from pathlib import Path as _Path
from typing import Any as _Any
from typing import overload as _overload
import modalgap.close as _close
import modalgap.encode as _encode
import modalgap.evaluate as _evaluate
import modalgap.explore as _explore
import modalgap.invert as _invert
import modalgap.measure as _measure
import modalgap.report as _report
import modalgap.search as _search
import modalgap.simulate as _simulate
import modalgap.study as _study
import modalgap.train as _train
import modalgap.zoo as _zoo

class close:
    """Close: reduce the modality gap by a map that is fitted once."""

    @_overload
    def __new__(  # type: ignore[misc]
        cls,
        pair: _Pair | _Modalities,
        /,
        method: str | _Closer = ...,
        **options: _Any,
    ) -> _Pair | _Any: ...
    @_overload
    def __new__(  # type: ignore[misc]
        cls,
        image: _Rows,
        text: _Rows,
        /,
        method: str | _Closer = ...,
        **options: _Any,
    ) -> _Pair | _Any: ...

    CLOSERS = _close.CLOSERS
    CORRECTIONS = _close.CORRECTIONS
    from modalgap.close import AffineMap as AffineMap
    from modalgap.close import Closer as Closer
    from modalgap.close import Correction as Correction
    from modalgap.close import CorrectionRule as CorrectionRule
    from modalgap.close import Evidence as Evidence
    from modalgap.close import Fitted as Fitted
    from modalgap.close import ScoreScaler as ScoreScaler
    from modalgap.close import Step as Step
    from modalgap.close import Transductive as Transductive
    close = _close.close
    correct = staticmethod(_close.correct)
    faiss_views = staticmethod(_close.faiss_views)
    fit = _close.fit
    load = staticmethod(_close.load)
    to_json = staticmethod(_close.to_json)
    to_model = staticmethod(_close.to_model)
    to_mteb = staticmethod(_close.to_mteb)
    to_onnx = staticmethod(_close.to_onnx)
    to_torch = staticmethod(_close.to_torch)
    none = _close.none
    center = _close.center
    erase_gap = _close.erase_gap
    project = _close.project
    shift = _close.shift
    standardize = _close.standardize
    realign = _close.realign
    whiten = _close.whiten
    drop_dims = _close.drop_dims
    pca_text = _close.pca_text
    procrustes = _close.procrustes
    cca = _close.cca
    shared_subspace = _close.shared_subspace
    ridge = _close.ridge
    isoclip = _close.isoclip
    noise = _close.noise
    transport = _close.transport
    spectral = _close.spectral
    csls = _close.csls
    nnn = _close.nnn
    qbnorm = _close.qbnorm
    sinkhorn = _close.sinkhorn
    zscore = _close.zscore

class encode:
    """Encode: compute embeddings of images, sounds and texts with any CLIP-like model."""

    def __new__(  # type: ignore[misc]
        cls,
        source: str | _Path | _Source | _Items,
        model: str | _Encoder | _Mapping[str, _Any],
        output: str | _Path | None = ...,
        *,
        template: str | _Sequence[str] | None = ...,
        device: str = ...,
        precision: str = ...,
        batch_size: int | None = ...,
        workers: int | None = ...,
        strict: bool = ...,
        keep_repeats: bool = ...,
        overwrite: bool = ...,
    ) -> _Pair | _Embeddings | _Any: ...

    ENCODERS = _encode.ENCODERS
    from modalgap.encode import Encoded as Encoded
    from modalgap.encode import EncodedItems as EncodedItems
    from modalgap.encode import Encoder as Encoder
    from modalgap.encode import FunctionEncoder as FunctionEncoder
    from modalgap.encode import ImageTower as ImageTower
    from modalgap.encode import Library as Library
    from modalgap.encode import Options as Options
    from modalgap.encode import TextTower as TextTower
    from modalgap.encode import Tokens as Tokens
    encode = staticmethod(_encode.encode)
    load_model = staticmethod(_encode.load_model)
    run = staticmethod(_encode.run)
    run_items = staticmethod(_encode.run_items)

class evaluate:
    """Evaluate: effects of the gap, or of closing it, on the tasks that embeddings are used for."""

    @_overload
    def __new__(  # type: ignore[misc]
        cls,
        pair: _Pair | _Modalities,
        /,
        only: _evaluate_Only = ...,
        *,
        seed: int = ...,
        **options: _Any,
    ) -> _Result: ...
    @_overload
    def __new__(  # type: ignore[misc]
        cls,
        image: _Rows,
        text: _Rows,
        /,
        only: _evaluate_Only = ...,
        *,
        seed: int = ...,
        **options: _Any,
    ) -> _Result: ...

    TASKS = _evaluate.TASKS
    from modalgap.evaluate import Calibration as Calibration
    from modalgap.evaluate import CutOff as CutOff
    from modalgap.evaluate import Outcome as Outcome
    from modalgap.evaluate import Scores as Scores
    from modalgap.evaluate import Task as Task
    calibrate = _evaluate.calibrate
    evaluate = _evaluate.evaluate
    flip_probability = staticmethod(_evaluate.flip_probability)
    retrieval = _evaluate.retrieval
    zero_shot = _evaluate.zero_shot
    within = _evaluate.within
    mixed = _evaluate.mixed
    robustness = _evaluate.robustness
    clustering = _evaluate.clustering
    calibration = _evaluate.calibration
    fairness = _evaluate.fairness
    answers = _evaluate.answers

class explore:
    """Explore: one interactive page of the gap, as a file or from a server on this machine."""

    @_overload
    def __new__(  # type: ignore[misc]
        cls,
        data: _Pair | _Embeddings | _Modalities,
        /,
        path: str | _Path = ...,
        *,
        media: _Mapping[str, _Media] | _Media | None = ...,
        points: int | None = ...,
        title: str | None = ...,
        overwrite: bool = ...,
        seed: int = ...,
    ) -> _Path: ...
    @_overload
    def __new__(  # type: ignore[misc]
        cls,
        image: _Rows,
        text: _Rows,
        /,
        path: str | _Path = ...,
        *,
        media: _Mapping[str, _Media] | _Media | None = ...,
        points: int | None = ...,
        title: str | None = ...,
        overwrite: bool = ...,
        seed: int = ...,
    ) -> _Path: ...

    from modalgap.explore import Explorer as Explorer
    explore = _explore.explore
    serve = staticmethod(_explore.serve)
    write_table = _explore.write_table

class invert:
    """Invert: map features of one modality to the other, to compare them within one modality."""

    def __new__(  # type: ignore[misc]
        cls,
        data: _Embeddings | _Pair | _Modalities | str | _Path,
        method: str | _Inversion | None = ...,
        model: str | _Encoder | None = ...,
        output: str | _Path | None = ...,
        *,
        bank: _Pair | _Embeddings | _Modalities | str | _Path | None = ...,
        seed: int = ...,
        device: str = ...,
        precision: str = ...,
        batch_size: int | None = ...,
        jobs: int = ...,
        compiled: bool = ...,
        overwrite: bool = ...,
        **options: _Any,
    ) -> _Inverted: ...

    BACKBONES = _invert.BACKBONES
    METHODS = _invert.METHODS
    from modalgap.invert import Backbone as Backbone
    from modalgap.invert import Inversion as Inversion
    from modalgap.invert import Inverted as Inverted
    curve = staticmethod(_invert.curve)
    invert = staticmethod(_invert.invert)
    nearest_words = staticmethod(_invert.nearest_words)
    read = staticmethod(_invert.read)
    oti = _invert.oti
    ovi = _invert.ovi
    caption_mixture = _invert.caption_mixture
    ridge_map = _invert.ridge_map
    gap_shift = _invert.gap_shift

class measure:
    """Measure: how large is the gap, what does it consist of, and what are its effects?"""

    @_overload
    def __new__(  # type: ignore[misc]
        cls,
        data: _Pair | _Embeddings | _Modalities,
        /,
        only: _measure_Only = ...,
        **options: _Any,
    ) -> _Result: ...
    @_overload
    def __new__(  # type: ignore[misc]
        cls,
        image: _Rows,
        text: _Rows,
        /,
        only: _measure_Only = ...,
        **options: _Any,
    ) -> _Result: ...

    MEASURES = _measure.MEASURES
    from modalgap.measure import Card as Card
    from modalgap.measure import Measure as Measure
    leakage_image = _measure.leakage_image
    leakage_text = _measure.leakage_text
    logit_entropy_image = _measure.logit_entropy_image
    logit_entropy_text = _measure.logit_entropy_text
    measure = _measure.measure
    l2m = _measure.l2m
    l2i = _measure.l2i
    rmg = _measure.rmg
    energy_distance = _measure.energy_distance
    mmd = _measure.mmd
    fisher_ratio = _measure.fisher_ratio
    matched_cosine = _measure.matched_cosine
    gram_volume = _measure.gram_volume
    pmrl = _measure.pmrl
    cone = _measure.cone
    alignment = _measure.alignment
    uniformity = _measure.uniformity
    per_dimension_gap = _measure.per_dimension_gap
    gap_concentration = _measure.gap_concentration
    frechet = _measure.frechet
    distribution_gap = _measure.distribution_gap
    centroid_share = _measure.centroid_share
    trace_ratio = _measure.trace_ratio
    separability = _measure.separability
    effective_rank = _measure.effective_rank
    participation_ratio = _measure.participation_ratio
    principal_angles = _measure.principal_angles
    leakage = _measure.leakage
    class_bias_spread = _measure.class_bias_spread
    kendall_tau = _measure.kendall_tau
    itr = _measure.itr
    tir = _measure.tir
    tmr = _measure.tmr
    imr = _measure.imr
    knn_mixing = _measure.knn_mixing
    out_of_corpus_fraction = _measure.out_of_corpus_fraction
    score_spread_ratio = _measure.score_spread_ratio
    nas = _measure.nas
    hubness = _measure.hubness
    antihub_fraction = _measure.antihub_fraction
    near_duplicate_fraction = _measure.near_duplicate_fraction
    logit_entropy = _measure.logit_entropy
    prediction_gini = _measure.prediction_gini
    prediction_entropy = _measure.prediction_entropy
    moad = _measure.moad
    infonce = _measure.infonce
    loss_landscape = _measure.loss_landscape

class report:
    """Report: one page that shows a gap in words, numbers and pictures."""

    @_overload
    def __new__(  # type: ignore[misc]
        cls,
        data: _Pair | _Embeddings | _Modalities,
        /,
        path: str | _Path,
        *,
        result: _Result | None = ...,
        title: str | None = ...,
        figures: str | _Path | None = ...,
        formats: _Sequence[str] = ...,
        overwrite: bool = ...,
        seed: int = ...,
        **options: _Any,
    ) -> _Path: ...
    @_overload
    def __new__(  # type: ignore[misc]
        cls,
        image: _Rows,
        text: _Rows,
        /,
        path: str | _Path,
        *,
        result: _Result | None = ...,
        title: str | None = ...,
        figures: str | _Path | None = ...,
        formats: _Sequence[str] = ...,
        overwrite: bool = ...,
        seed: int = ...,
        **options: _Any,
    ) -> _Path: ...

    figures = _report.figures
    report = _report.report
    save_figures = staticmethod(_report.save_figures)

class search:
    """Search: queries of one set of embeddings in a gallery of another set."""

    def __new__(  # type: ignore[misc]
        cls,
        queries: _Embeddings,
        gallery: _Embeddings | _Pair | _Modalities,
        protocol: str = ...,
        *,
        factor: str | None = ...,
        scaler: _ScoreScaler | None = ...,
        seed: int = ...,
    ) -> _Result: ...

    PROTOCOLS = _search.PROTOCOLS
    from modalgap.search import Protocol as Protocol
    query_side = staticmethod(_search.query_side)
    search = staticmethod(_search.search)

class simulate:
    """Simulate: run the theory of the modality gap, without a model or data."""

    def __new__(  # type: ignore[misc]
        cls,
        method: str | _Simulation[_Any],
        /,
        **options: _Any,
    ) -> _Pair | _Table: ...

    SIMULATIONS = _simulate.SIMULATIONS
    from modalgap.simulate import Simulation as Simulation
    simulate = staticmethod(_simulate.simulate)
    free_points = _simulate.free_points
    cone_effect = _simulate.cone_effect
    cosine_rise = _simulate.cosine_rise
    weight_variance = _simulate.weight_variance
    random_encoders = _simulate.random_encoders
    sphere_pairs = _simulate.sphere_pairs
    nine_points = _simulate.nine_points
    three_points = _simulate.three_points
    dynamics = _simulate.dynamics
    flip_robustness = _simulate.flip_robustness
    orthogonal_shift = _simulate.orthogonal_shift
    information_imbalance = _simulate.information_imbalance
    first_page = _simulate.first_page

class study:
    """Study: figures and tables of papers, computed again on data that needs no download."""

    def __new__(  # type: ignore[misc]
        cls,
        method: str | _Study,
        output: str | _Path,
        *,
        jobs: int | None = ...,
        models: str | _Path | None = ...,
        overwrite: bool = ...,
        **options: _Any,
    ) -> _Table: ...

    STUDIES = _study.STUDIES
    from modalgap.study import Number as Number
    from modalgap.study import Order as Order
    from modalgap.study import Plan as Plan
    from modalgap.study import Published as Published
    from modalgap.study import Study as Study
    from modalgap.study import Trend as Trend
    from modalgap.study import Tuned as Tuned
    from modalgap.study import Work as Work
    run_all = staticmethod(_study.run_all)
    study = staticmethod(_study.study)
    demo = _study.demo
    trained_and_untrained = _study.trained_and_untrained
    random_cosines = _study.random_cosines
    cone_effect = _study.cone_effect
    random_encoders = _study.random_encoders
    cosine_rise = _study.cosine_rise
    weight_variance = _study.weight_variance
    loss_landscape = _study.loss_landscape
    sphere_pairs = _study.sphere_pairs
    nine_points = _study.nine_points
    temperature = _study.temperature
    amended_start = _study.amended_start
    zero_shot_shift = _study.zero_shot_shift
    fairness_shift = _study.fairness_shift
    imbalance = _study.imbalance
    named_factor = _study.named_factor
    entropy = _study.entropy
    caption_parts = _study.caption_parts
    toy_imbalance = _study.toy_imbalance
    gap_dimensions = _study.gap_dimensions
    neighbourhoods = _study.neighbourhoods
    gap_and_performance = _study.gap_and_performance
    filtered_data = _study.filtered_data
    object_bias = _study.object_bias
    ideal_words = _study.ideal_words
    wrong_neighbours = _study.wrong_neighbours
    inversion = _study.inversion
    inversion_data_sets = _study.inversion_data_sets
    inversion_steps = _study.inversion_steps
    inversion_and_temperature = _study.inversion_and_temperature
    inverted_gallery = _study.inverted_gallery
    accuracy_and_gap = _study.accuracy_and_gap
    three_points = _study.three_points
    frozen_gap = _study.frozen_gap
    softmax_sums = _study.softmax_sums
    temperature_law = _study.temperature_law
    flips = _study.flips
    robustness_shift = _study.robustness_shift
    quantised_and_rephrased = _study.quantised_and_rephrased
    modalities = _study.modalities
    caption_length = _study.caption_length
    mixed_search = _study.mixed_search
    first_page = _study.first_page
    gap_and_retrieval = _study.gap_and_retrieval
    gap_and_gain = _study.gap_and_gain
    closing_over_models = _study.closing_over_models
    emoji_retrieval = _study.emoji_retrieval
    emoji_search = _study.emoji_search
    emoji_inversion = _study.emoji_inversion
    emoji_groups = _study.emoji_groups

class train:
    """Train: contrastive two-tower models, of any size, from a configuration."""

    def __new__(  # type: ignore[misc]
        cls,
        config: str | _Path | _Mapping[str, _Any] | _Config,
        output: str | _Path,
        *,
        settings: _Sequence[str] = ...,
        overwrite: bool = ...,
    ) -> _Run: ...

    from modalgap.train import Config as Config
    from modalgap.train import Run as Run
    load_config = staticmethod(_train.load_config)
    load_profile_tower = staticmethod(_train.load_profile_tower)
    read_run = staticmethod(_train.read_run)
    ready = staticmethod(_train.ready)
    train = staticmethod(_train.train)

class zoo:
    """Zoo: many models on many data sets, in one table of results."""

    def __new__(  # type: ignore[misc]
        cls,
        models: str | _Sequence[str],
        data: str | _Path | _Sequence[str] | _Sequence[_Path],
        output: str | _Path,
        *,
        split: str | None = ...,
        root: str | _Path | None = ...,
        limit: int | None = ...,
        template: str | None = ...,
        **options: _Any,
    ) -> _Zoo: ...

    from modalgap.zoo import Cell as Cell
    from modalgap.zoo import Zoo as Zoo
    read_cells = staticmethod(_zoo.read_cells)
    run_cells = staticmethod(_zoo.run_cells)
    zoo = staticmethod(_zoo.zoo)
