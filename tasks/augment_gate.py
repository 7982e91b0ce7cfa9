"""Which augmentation a run uses: the caller's, one searched for the data, or the best of three.

``augment="auto"`` compares no policy, TrivialAugmentWide and the policy found for the data, in short
trainings of the run's own recipe on held-out images, and starts every real training with the winner.
Whatever may go wrong on the way (too little time, too few images, a training that fails) leaves the
run as it would be without: augmentation is then one of the hyperparameters that are searched.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autodl.errors import AutoDLError
from autodl.spaces import Categorical
from autodl.tasks import augment_search
from autodl.tasks.augment_choice import AUTO, FOUND
from autodl.tasks.augment_compare import (
    FEWEST_EPOCHS,
    FEWEST_IMAGES,
    Comparison,
    affordable_epochs,
    compare_augmentations,
    training_speed,
)
from autodl.tasks.augment_record import AugmentArm, AugmentRecord
from autodl.tasks.augment_search import Found
from autodl.tasks.image_plan import ImagePlan
from autodl.tasks.run_data import RunData
from autodl.tasks.trial_context import TrialContext

SEARCH_PART = 0.06
COMPARE_PART = 0.1
"""Parts of the time limit for the search of a policy and for the three trainings that judge it."""

SEARCH_ALONE_PART = 0.15
"""Part of the time limit for the search where its policy is used whatever it is worth."""

WORTH_COMPARING_S = 240.0
"""Shortest time limit for "auto" to compare: below, the real training needs all of it."""

MUST_BE_LEFT = 0.75
"""Part of the time limit that must be left when the images are read, for "auto" to compare."""

WORTH_COMPARING_TRIALS = 8
"""Likewise fewest trials, where their number limits the run."""

FEWEST_TRAINING = 200
FEWEST_HELD_OUT = 100
"""Images below which a comparison says more about chance than about augmentation."""

STANDARD, TRIVIAL = "standard", "trivial"


@dataclass(frozen=True, slots=True)
class GateJob:
    """What is to be settled.

    Attributes:
        asked: the caller's ``augment``.
        run: the run's directory.
        begun: the search has trials already, made with what was settled then.
        seed: of the run.
        time_limit_s: of the whole fit; None: no limit.
        started_at: ``time.time()`` at the call.
        num_trials: trials at most; None: no limit.
        say: tells the user what was done.
        phase: tells the user what is being done.
    """

    asked: Any
    run: Path
    begun: bool
    seed: int
    time_limit_s: float | None
    started_at: float
    num_trials: int | None
    say: Callable[[str], None]
    phase: Callable[[str], None]


def settle_augmentation(job: GateJob, data: RunData, plan: ImagePlan, context: TrialContext) -> AugmentRecord:
    """Decide, or read what was decided when the run began; a resumed run never searches again."""
    asked = job.asked if isinstance(job.asked, str) else ("none" if job.asked is None else "own")
    known = AugmentRecord.read(job.run)
    if known is not None and known.asked == asked:
        return known
    started = time.monotonic()
    record = _settle(job, asked, data, plan, context)
    record = replace(record, seconds=round(time.monotonic() - started, 3))
    record.write(job.run)
    return record


def _settle(job: GateJob, asked: str, data: RunData, plan: ImagePlan, context: TrialContext) -> AugmentRecord:
    if asked == FOUND:
        return _search_only(job, data)
    if asked != AUTO:
        return AugmentRecord(asked, None if asked == "own" else asked)
    reason = _why_not(job, data, plan)
    if reason:
        return AugmentRecord(AUTO, None, f"augmentations were not compared: {reason}")
    try:
        return _compare(job, data, context)
    except (AutoDLError, RuntimeError) as error:  # out of memory is a RuntimeError of torch's
        return _not_compared(job, str(error) or type(error).__name__)


def _not_compared(job: GateJob, reason: str) -> AugmentRecord:
    note = f"augmentations were not compared: {reason}"
    job.say(note)
    return AugmentRecord(AUTO, None, note)


def _why_not(job: GateJob, data: RunData, plan: ImagePlan) -> str:
    """What speaks against a comparison; "" for nothing."""
    limit = job.time_limit_s
    if job.begun:
        return "the run was begun without"
    if "network" not in plan.recipes:
        return (
            "heads on frozen features learn from the images as they are, and fine-tuning is too slow to try"
        )
    if limit is None and (job.num_trials or 0) < WORTH_COMPARING_TRIALS:
        return f"that pays from {WORTH_COMPARING_TRIALS} trials on"
    if limit is not None and limit < WORTH_COMPARING_S:
        return f"that pays from a time limit of {WORTH_COMPARING_S:g} s on"
    if limit is not None and _left_s(job) < MUST_BE_LEFT * limit:
        return "reading the images took too long"
    trained, judged = len(data.training_rows()), len(data.validation_rows())
    if trained < FEWEST_TRAINING or judged < FEWEST_HELD_OUT:
        return (
            f"{trained} training and {judged} held-out images are too few to tell "
            f"({FEWEST_TRAINING} and {FEWEST_HELD_OUT} would do)"
        )
    return ""


def _left_s(job: GateJob) -> float:
    assert job.time_limit_s is not None
    return job.time_limit_s - (time.time() - job.started_at)


def _seconds(job: GateJob, part: float) -> float | None:
    return None if job.time_limit_s is None else part * min(job.time_limit_s, _left_s(job))


def _search_only(job: GateJob, data: RunData) -> AugmentRecord:
    """Search and use what is found; without it crops and mirror images are what is left."""
    job.phase("searching an augmentation policy")
    try:
        found = augment_search.search(data, seed=job.seed, time_limit_s=_seconds(job, SEARCH_ALONE_PART))
    except AutoDLError as error:
        note = f"no augmentation policy was found, {STANDARD!r} is used: {error}"
        job.say(note)
        return AugmentRecord(FOUND, STANDARD, note)
    job.say(f"augmentation policy found: {found.words}")
    return AugmentRecord(FOUND, FOUND, found.words, policy=found.policy, op_weights=found.op_weights)


def _compare(job: GateJob, data: RunData, context: TrialContext) -> AugmentRecord:
    """Search, then train with each."""
    speed: float | None = None
    if (seconds := _seconds(job, COMPARE_PART)) is not None:
        speed = training_speed(data, context, job.seed)
        epochs = affordable_epochs(speed, seconds, arms=3)
        if context.epochs is None and epochs < FEWEST_EPOCHS:
            return _not_compared(
                job,
                f"in their part of the time ({seconds:.0f} s) three trainings would see {FEWEST_IMAGES} "
                f"images {epochs:.1f} times each; {FEWEST_EPOCHS:g} times would do",
            )
    found = _search(job, data)
    job.phase("comparing augmentations")
    policy = None if found is None else found.policy
    compared = compare_augmentations(
        (STANDARD, TRIVIAL) if policy is None else (STANDARD, TRIVIAL, FOUND),
        data,
        replace(context, policy=policy),
        job.run / "augment",
        seed=job.seed,
        seconds=_seconds(job, COMPARE_PART),
        speed=speed,
    )
    note = _words(compared, context.metric.name)
    job.say(note)
    return AugmentRecord(
        AUTO,
        compared.winner,
        note,
        compared.arms,
        compared.held_out,
        policy,
        {} if found is None else found.op_weights,
    )


def _search(job: GateJob, data: RunData) -> Found | None:
    job.phase("searching an augmentation policy")
    try:
        return augment_search.search(data, seed=job.seed, time_limit_s=_seconds(job, SEARCH_PART))
    except AutoDLError as error:
        job.say(f"no augmentation policy was found: {error}")
        return None


def _words(compared: Comparison, metric: str) -> str:
    def shown(arm: AugmentArm) -> str:
        return f"{arm.name} {arm.score:.4f}"

    epochs = "1 epoch" if compared.epochs == 1 else f"{compared.epochs} epochs"
    return (
        f"augmentation {compared.winner}: {metric} of {', '.join(map(shown, compared.arms))} on "
        f"{compared.held_out} held-out images after {epochs} on {compared.trained_on} images"
    )


def with_augmentation(plan: ImagePlan, record: AugmentRecord) -> ImagePlan:
    """The plan with what was settled: the default of every recipe, whose alternatives stay."""
    if record.chosen is None or record.asked != AUTO:
        return plan
    recipes = {
        name: {key: _first(part, record.chosen) if key == "augment" else part for key, part in parts.items()}
        for name, parts in plan.recipes.items()
    }
    return replace(plan, recipes=recipes)


def _first(part: Any, chosen: str) -> Any:
    """A choice of augmentations that begins with the one chosen."""
    names = part.names if isinstance(part, Categorical) else (part,)
    others = [name for name in names if name != chosen]
    return Categorical(chosen, *others) if others else chosen
