"""The search of an architecture before the trainings of a run; held-out images are not looked at.

A strategy gets a part of the time limit and the training images, dealt into a part that trains
weights and a part that judges architectures. Every trial of the run then trains what it found.
Without a strategy the decisions are hyperparameters like any other, searched with the recipe.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from autodl.errors import OptionError, RunExistsError
from autodl.models import wrap_module
from autodl.nas import Budget, NASData, NASResult, Space
from autodl.nas.space_factory import SpaceFactory
from autodl.rng import derive_seed
from autodl.tasks.arch_options import NASOptions
from autodl.tasks.arch_record import ArchRecord, ArchStep
from autodl.tasks.image_plan import ImagePlan
from autodl.tasks.open_network import CHANNELS, ArchSpace, ChosenNetwork, shown
from autodl.tasks.run_data import RunData
from autodl.training import cpu_threads, pick_device
from autodl.training.parallel import torch_threads

MOST_IMAGES = 20_000
"""Images that an architecture is searched on at most."""

VAL_FRACTION = 0.3
"""Of these, what judges architectures."""

BATCH_SIZE = 64

SHARES_AFTER_SEARCH = (0.6,)
"""Part of the time left that the first training of the found architecture may plan for: one long training
says more than two short ones. What is left makes others for the ensemble."""

STATE = "nas"
"""Directory of the strategy's own state within the run's."""


@dataclass(frozen=True, slots=True)
class ArchJob:
    """What is to be settled.

    Attributes:
        factory: of the space.
        options: of the search; None: the engine searches.
        run: the run's directory.
        begun: the run has trials already.
        seed: of the run.
        time_limit_s: of the whole fit; None: no limit.
        started_at: ``time.time()`` at the call.
        say: tells the user what was done.
        phase: tells the user what is being done.
    """

    factory: SpaceFactory
    options: NASOptions | None
    run: Path
    begun: bool
    seed: int
    time_limit_s: float | None
    started_at: float
    say: Callable[[str], None]
    phase: Callable[[str], None]


def settle_architecture(job: ArchJob, data: RunData, plan: ImagePlan) -> tuple[ImagePlan, ArchRecord | None]:
    """The plan with its network decided, or with its decisions as hyperparameters.

    A resumed run never searches again; a search that was interrupted goes on where it was.

    Raises:
        OptionError: the plan builds on pretrained weights, which a space does not have.
        TrialError: the space's networks do not fit the data.
        SpaceError: the space cannot be made for images of this size.
    """
    if "network" not in plan.recipes:
        raise OptionError("a network with open decisions is trained from scratch: pass weights=None")
    classes, side = data.num_classes, plan.input_size
    space = job.factory.space(num_classes=classes, channels=CHANNELS, side=side)
    if job.options is None:
        _check_fit(space, data, side)
        return with_net(plan, ArchSpace(job.factory, space)), None
    record = ArchRecord.read(job.run)
    if record is None and job.begun:
        raise RunExistsError(f"the run at {job.run} was begun without nas=...; name another path")
    if record is None:
        _check_fit(space, data, side)
        record = _search(job, job.options, space, data, side)
        record.write(job.run)
        job.say(record.words())
    decided = with_net(plan, ChosenNetwork(job.factory, space.validate(record.arch)))
    rest = 1.0 if job.time_limit_s is None else max(0.1, 1 - record.seconds / job.time_limit_s)
    return replace(decided, shares=tuple(rest * share for share in SHARES_AFTER_SEARCH)), record


def with_net(plan: ImagePlan, net: ArchSpace | ChosenNetwork) -> ImagePlan:
    """The plan with another network in its recipe."""
    recipe = {key: net if key == "net" else part for key, part in plan.recipes["network"].items()}
    return replace(plan, recipes={"network": recipe})


def _check_fit(space: Space, data: RunData, side: int) -> None:
    """One network of the space tells the data's classes apart, before anything slow happens."""
    wrap_module(space.realise(space.sample(0)), data.num_classes, side, CHANNELS)


def _search(job: ArchJob, options: NASOptions, space: Space, data: RunData, side: int) -> ArchRecord:
    started = time.monotonic()
    device = pick_device()
    job.phase(f"searching an architecture: {options.name} in {shown(job.factory)}")
    images = search_data(data, side, job.seed, device)
    cost = options.cost_model(space, (CHANNELS, side, side), device, job.run / "latency.json")
    # What was spent on measuring latencies is the search's, too.
    seconds = _seconds(job, options.share, time.monotonic() - started)
    with torch_threads(min(torch.get_num_threads(), cpu_threads())):
        result = options.made.search(
            space,
            images,
            objective=options.weighed(),
            cost=cost,
            budget=None if seconds is None else Budget(seconds=seconds),
            seed=derive_seed(job.seed, "architecture search") % 2**31,
            path=job.run / STATE,
            resume=True,
        )
    if result.stopped_by == "interrupted":  # Ctrl-C ends the fit, not only the part that it came in
        raise KeyboardInterrupt
    arch = space.validate(result.best_arch)
    chosen = ChosenNetwork(job.factory, arch)
    net = chosen.build(data.num_classes, side, seed=0)
    return ArchRecord(
        strategy=result.strategy or options.name,
        space=shown(job.factory),
        arch=arch,
        size=space.size(),
        metric=_finite(result.metric),
        cost=None if cost is None else float(cost.cost(arch)),
        cost_name=options.cost_name,
        target=options.target,
        parameters=sum(p.numel() for p in net.parameters()),
        seconds=round(time.monotonic() - started, 3),
        steps=_steps(result),
    )


def _seconds(job: ArchJob, share: float, spent: float) -> float | None:
    """What the strategy may take; at least a little, since it gives a result in any case."""
    if job.time_limit_s is None:
        return None
    left = job.time_limit_s - (time.time() - job.started_at)
    return max(0.5, share * min(job.time_limit_s, left + spent) - spent)


def _steps(result: NASResult) -> tuple[ArchStep, ...]:
    return tuple(
        ArchStep(round(r.seconds, 3), _finite(r.metric), _finite(r.cost), r.arch) for r in result.history
    )


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def search_data(data: RunData, side: int, seed: int, device: torch.device) -> NASData:
    """Training images as a strategy takes them, at the side that networks see.

    Args:
        data: of the run.
        side: pixels.
        seed: of the choice and the dealing.
        device: where they lie.
    """
    rng = np.random.default_rng(derive_seed(seed, "architecture images"))
    rows = np.sort(rng.permutation(data.training_rows())[:MOST_IMAGES])
    images = torch.cat([_part(data, rows[i : i + 256], side) for i in range(0, len(rows), 256)])
    return NASData.split(
        images,
        torch.from_numpy(data.labels[rows]),
        val_fraction=VAL_FRACTION,
        seed=derive_seed(seed, "architecture split") % 2**31,
        batch_size=max(1, min(BATCH_SIZE, len(rows) // 4)),
        device=device,
    )


def _part(data: RunData, rows: np.ndarray, side: int) -> Tensor:
    pixels = np.take(data.pixels, rows, axis=0)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    if images.shape[-1] != side:
        images = F.interpolate(images, (side, side), mode="bilinear", antialias=True)
    return images.contiguous()
