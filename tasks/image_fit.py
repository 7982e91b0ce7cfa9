"""One fit from start to end: read, plan, search, select, within the time the caller names."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from autodl.data import ImageTable, check_labels, decode, probe_sizes
from autodl.errors import DataError, OptionError
from autodl.executors import JoblibExecutor, SerialExecutor
from autodl.executors.protocol import Executor
from autodl.models import Classifier, wrap_module
from autodl.nas.space_factory import SpaceFactory
from autodl.report import ProgressDisplay
from autodl.result import TuneResult
from autodl.schedulers import get_scheduler
from autodl.searchers import PortfolioSearcher, get_searcher
from autodl.tasks import run_file
from autodl.tasks.arch_options import NASOptions
from autodl.tasks.arch_record import ArchRecord
from autodl.tasks.arch_search import ArchJob, settle_architecture
from autodl.tasks.augment_gate import GateJob, settle_augmentation, with_augmentation
from autodl.tasks.augment_record import AugmentRecord
from autodl.tasks.head_recipe import train_head_only
from autodl.tasks.image_ensemble import Selection, assemble, select
from autodl.tasks.image_plan import DataFacts, ImagePlan, Wishes, make_plan
from autodl.tasks.image_predictor import ImagePredictor
from autodl.tasks.member import Member
from autodl.tasks.network_choice import build_arguments
from autodl.tasks.network_recipe import train_whole_network
from autodl.tasks.open_network import ChosenNetwork
from autodl.tasks.options import Preset, TrainingOptions, ValidationOptions
from autodl.tasks.predictor_format import build_body
from autodl.tasks.run_data import Intake, RunData, prepare
from autodl.tasks.trial_context import TrialContext
from autodl.training import Metric, cpu_threads
from autodl.trial import Config
from autodl.tuner import Objective, RunOptions, Tuner

READING_PART = 0.4
"""Part of the time limit that reading images may take before the rest is left out."""

LEAST_TRIAL_PART = 0.05
"""No trial is started when less than this part of the time limit is left."""

WORTH_WORKERS_S = 30.0
"""Shortest time limit that several workers are started for: each imports torch first, which takes two
seconds on a quiet machine and ten on a busy one."""

GREY_SAMPLE = 48
"""Images looked at to tell whether the data is grey."""

RECIPES: dict[str, Callable[..., None]] = {
    "network": train_whole_network,
    "finetune": train_whole_network,
    "head": train_head_only,
}


@dataclass(frozen=True)
class FitRequest:
    """All that a fit is asked for, checked and with its names resolved.

    Attributes:
        train: labelled images.
        tuning: labelled images to compare trials on; None: a part of `train`.
        wishes: what shapes the search space.
        nas: how a network's open decisions are searched first; None: with everything else.
        preset: scale of networks and trainings.
        metric: what is made best.
        training: how networks are trained.
        validation: what is held out.
        time_limit_s: seconds for the whole fit; None: no limit.
        num_trials: trials at most; None: no limit.
        epochs: of every training; None: from the time.
        batch_size: None: from the number of images.
        class_weight: "auto", "balanced", None, or label -> weight.
        searcher: a name or an object.
        scheduler: a name or an object.
        executor: None: by `num_workers`.
        num_workers: trials that run at once.
        seed: fixes everything random.
        path: the run's directory.
        resume: go on with the run there.
        on_bad_image: "skip" or "raise".
        verbosity: of the progress display.
        callbacks: more callbacks for the tuner.
        started_at: ``time.time()`` at the call.
    """

    train: ImageTable | None
    tuning: ImageTable | None
    wishes: Wishes
    nas: NASOptions | None
    preset: Preset
    metric: Metric
    training: TrainingOptions
    validation: ValidationOptions
    time_limit_s: float | None
    num_trials: int | None
    epochs: int | None
    batch_size: int | None
    class_weight: Any
    searcher: Any
    scheduler: Any
    executor: Executor | None
    num_workers: int
    seed: int
    path: Path
    resume: bool
    on_bad_image: Literal["skip", "raise"]
    verbosity: int
    callbacks: Sequence[object]
    started_at: float


@dataclass(frozen=True)
class FitOutcome:
    """What a fit came to.

    Attributes:
        predictor: the selected ensemble.
        result: the search.
        data: what was trained and validated on.
        selection: who predicts, and the validation predictions.
        augmentation: how images were augmented, and why.
        seconds: wall-clock seconds of this call.
        architecture: what ``nas=`` found; None: it was not asked for.
    """

    predictor: ImagePredictor
    result: TuneResult
    data: RunData
    selection: Selection
    augmentation: AugmentRecord
    seconds: float
    architecture: ArchRecord | None = None


def fit_images(request: FitRequest) -> FitOutcome:
    """Fit as requested; see `autodl.ImageClassification.fit` for the errors."""
    with ProgressDisplay(request.verbosity) as display:
        data, plan = _read(request, display)
        plan, architecture = _architecture(request, display, data, plan)
        context = _context(request, data, plan)
        augmentation = settle_augmentation(_gate_job(request, display), data, plan, context)
        plan = with_augmentation(plan, augmentation)
        context = replace(context, recipes=plan.recipes, policy=augmentation.policy)
        space = plan.space
        executor = _executor(request, display)
        tuner = Tuner(
            ImageTrial(context),
            space,
            searcher=PortfolioSearcher(plan.portfolio, then=get_searcher(request.searcher)),
            scheduler=get_scheduler(
                request.scheduler, max_resource=request.epochs or request.preset.max_epochs
            ),
            executor=executor,
            options=_run_options(request, executor.num_workers),
            path=request.path,
            callbacks=(display, *request.callbacks),
        )
        result = tuner.run()
        display.phase("selecting the ensemble")
        members = [Member.load(result.checkpoint_dir(trial.trial_id)) for trial in result.trials]
        errors = [trial.error for trial in result.trials if trial.error]
        selection = select([m for m in members if m], data, request.metric, errors=errors)
        network = assemble(
            selection,
            result.checkpoint_dir,
            user_body=partial(_user_body, context, data, result.trials),
            weights=_frozen_weights(plan),
        )
        predictor = ImagePredictor(network, data.class_map, data.facts)
        seconds = time.time() - request.started_at
        display.message(_closing_words(selection, request.metric, seconds))
    return FitOutcome(predictor, result, data, selection, augmentation, seconds, architecture)


class ImageTrial:
    """The function that workers run: pick the recipe that the config names and follow it.

    Args:
        context: what all trials share.
    """

    def __init__(self, context: TrialContext) -> None:
        self.context = context

    def __call__(self, config: Config, reporter: Any) -> None:
        """Train one trial."""
        name, _ = self.context.choose(config)
        RECIPES[name](self.context, config, reporter)


def _read(request: FitRequest, display: ProgressDisplay) -> tuple[RunData, ImagePlan]:
    """The run's data and plan, from the run's own cache when it is resumed."""
    directory = request.path / "data"
    if request.resume and RunData.exists(directory):
        display.phase("opening the run")
        data = RunData.open(directory)
        return data, make_plan(DataFacts(**data.facts["data"]), request.wishes, request.preset)
    if request.train is None:
        raise DataError(
            f"the run at {request.path} was ended before its images were read; go on with "
            f"fit(data, path={str(request.path)!r}, resume=True)"
        )
    display.phase("reading images")
    check_labels(request.train.labels, where=request.train.origin)
    facts = look_at(request.train)
    plan = make_plan(facts, request.wishes, request.preset)
    limit = request.time_limit_s
    intake = Intake(
        cache_size=plan.cache_size,
        on_bad_image=request.on_bad_image,
        num_threads=cpu_threads(),
        deadline=None if limit is None else time.monotonic() + READING_PART * limit,
        cross_validate=plan.cross_validate,
    )
    kept_facts = {
        "data": asdict(facts),
        "input_size": plan.input_size,
        "cache_size": plan.cache_size,
        "pixel_range": request.train.pixel_range,
        "origin": request.train.origin,
    }
    data = prepare(
        directory, request.train, request.tuning, intake, request.validation, request.seed, kept_facts
    )
    display.message(data.audit.summary())
    return data, plan


def look_at(table: ImageTable) -> DataFacts:
    """Sizes and colours of a sample of the images, from headers and a few decoded ones."""
    sizes = probe_sizes(table)
    if len(sizes) == 0:
        raise DataError(f"none of the {len(table)} images in {table.origin} can be read")
    sides = np.unique(sizes)
    rows = np.unique(np.linspace(0, len(table) - 1, min(GREY_SAMPLE, len(table))).astype(int))
    return DataFacts(
        num_images=len(table),
        side=int(np.median(sizes.min(axis=1))),
        same_size=int(sides[0]) if len(sides) == 1 else None,
        grey=all(_is_grey(table, int(row)) for row in rows),
    )


def _is_grey(table: ImageTable, row: int) -> bool:
    try:
        pixels = decode(table.items[row].source, square=32).pixels
    except DataError:
        return True  # says nothing either way
    return bool((pixels.max(axis=2) - pixels.min(axis=2)).max() <= 8)  # JPEG's rounding of grey


def _context(request: FitRequest, data: RunData, plan: ImagePlan) -> TrialContext:
    return TrialContext(
        cache=request.path / "data",
        recipes=plan.recipes,
        metric=request.metric,
        training=request.training,
        preset=request.preset,
        epochs=request.epochs,
        batch_size=request.batch_size,
        class_weights=class_weights(request.class_weight, data),
        shares=plan.shares,
        time_limit_s=request.time_limit_s,
    )


def _architecture(
    request: FitRequest, display: ProgressDisplay, data: RunData, plan: ImagePlan
) -> tuple[ImagePlan, ArchRecord | None]:
    """The plan with a network whose decisions are made, or are hyperparameters."""
    factory = request.wishes.net
    if not isinstance(factory, SpaceFactory):
        return plan, None
    job = ArchJob(
        factory=factory,
        options=request.nas,
        run=request.path,
        begun=run_file.exists(request.path),
        seed=request.seed,
        time_limit_s=request.time_limit_s,
        started_at=request.started_at,
        say=display.message,
        phase=display.phase,
    )
    return settle_architecture(job, data, plan)


def _gate_job(request: FitRequest, display: ProgressDisplay) -> GateJob:
    return GateJob(
        asked=request.wishes.augment,
        run=request.path,
        begun=run_file.exists(request.path),
        seed=request.seed,
        time_limit_s=request.time_limit_s,
        started_at=request.started_at,
        num_trials=request.num_trials,
        say=display.message,
        phase=display.phase,
    )


def class_weights(wanted: Any, data: RunData) -> tuple[float, ...] | None:
    """Weight of each class in the loss, averaging 1 over the images; None: all equal.

    Args:
        wanted: None; "balanced": inverse to the class's frequency; "auto": inverse to its square
            root if the largest class is three times the smallest; or a dict label -> weight.
        data: the labels.
    """
    if wanted is None:
        return None
    counts = np.bincount(data.labels, minlength=data.num_classes).astype(float)
    if isinstance(wanted, dict):
        strangers = [label for label in wanted if label not in data.class_map.values]
        if strangers:
            raise OptionError(f"class_weight names {len(strangers)} unknown class(es): {strangers[:5]}")
        raw = np.array([float(wanted.get(label, 1.0)) for label in data.class_map.values])
    elif wanted == "balanced":
        raw = 1 / counts
    elif wanted == "auto":
        if counts.max() < 3 * counts.min():
            return None
        raw = 1 / np.sqrt(counts)
    else:
        raise OptionError(f'class_weight is "auto", "balanced", None or a dict, got {wanted!r}')
    if (raw < 0).any() or not raw.any():
        raise OptionError(f"class weights must be >= 0 and not all zero, got {raw.tolist()}")
    return tuple((raw * counts.sum() / (raw * counts).sum()).tolist())


def _executor(request: FitRequest, display: ProgressDisplay) -> Executor:
    if request.executor is not None:
        return request.executor
    limit = request.time_limit_s
    if request.num_workers > 1 and limit is not None and limit < WORTH_WORKERS_S:
        display.message(
            f"one worker, in this process: a limit of {limit:g} s would be over before others have started"
        )
        return SerialExecutor()
    return SerialExecutor() if request.num_workers == 1 else JoblibExecutor(request.num_workers)


def _run_options(request: FitRequest, workers: int) -> RunOptions:
    limit = request.time_limit_s
    return RunOptions(
        Objective(request.metric.name, request.metric.mode),
        num_trials=request.num_trials,
        # What follows the search (select, load, warm up) needs about a second.
        time_limit_s=None if limit is None else max(0.5 * limit, limit - 1.0 - 0.02 * limit),
        seed=request.seed,
        resume=request.resume,
        keep_checkpoints=0,
        least_trial_s=0.0 if limit is None else LEAST_TRIAL_PART * limit,
        threads=cpu_threads(workers),
        started_at=request.started_at,
    )


def _user_body(context: TrialContext, data: RunData, trials: Sequence[Any], member: Member) -> Classifier:
    """A member's network, untrained: by name, or a user's own from the trial's config."""
    if not member.network.user_defined:
        return build_body(member.network)
    trial = next(t for t in trials if t.trial_id == member.trial_id)
    values = context.values(trial.config, **build_arguments(data))
    preprocessing = member.network.preprocessing
    module = values["net"]
    if isinstance(module, ChosenNetwork):
        made = module.classifier(data.num_classes, preprocessing.input_size, seed=0)
        made.preprocessing = preprocessing
        return made
    wrapped = wrap_module(module, data.num_classes, preprocessing.input_size, preprocessing.channels)
    wrapped.preprocessing = preprocessing
    return wrapped


def _frozen_weights(plan: ImagePlan) -> str | Path | None:
    """What the backbones under linear heads are loaded with."""
    head = plan.recipes.get("head")
    return None if head is None else head["weights"]


def _closing_words(selection: Selection, metric: Metric, seconds: float) -> str:
    networks = len({(m.network.name, m.trial_id if not m.frozen else -1) for m in selection.members})
    return (
        f"{metric.name} {selection.value:.4f} on {len(selection.rows)} held-out images; "
        f"{len(selection.members)} trial(s), {networks} network(s); {seconds:.0f} s"
    )
