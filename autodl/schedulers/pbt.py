"""Population based training: configs change while the weights train.

Source: M. Jaderberg et al., "Population Based Training of Neural Networks" (2017): exploit by
truncation selection, explore by perturb or resample.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, insort
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.rng import derive_seed
from autodl.schedulers.explore import explore
from autodl.schedulers.ladders import comparable
from autodl.schedulers.protocol import (
    Action,
    Continue,
    Event,
    Pause,
    Resume,
    Start,
    Stop,
    TrialFailed,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialStarted,
    WorkerFree,
)
from autodl.spaces.base import Config
from autodl.spaces.search_space import SearchSpace


@dataclass(slots=True)
class _Member:
    """One of the population: a trial."""

    config: Config
    step: int = 0  # intervals done
    score: float = -math.inf  # at that step
    is_ended: bool = False


class PBTScheduler:
    """Trains a population; at every interval the worst take over the weights and configs of the best.

    Each trial is a member. It pauses after every `interval` epochs. When a worker is free for it
    again, members furthest behind first, it is compared with all that have done as many
    intervals: if it is among the worst `quantile`, it goes on with a copy of the last checkpoint
    of one of the best, and with that one's config perturbed. So the run finds a schedule of
    hyper-parameters, not one config: ``result.best_trial.schedule`` shows it. Nobody waits; on far
    fewer workers than members nearly all have arrived when a member is compared.

    The training function must ``reporter.save`` its weights before it reports, and take from its
    config what may change on the way (learning rate, dropout, augmentation). What shapes the
    weights has to stay as it is: name the others as `labels`.

    Args:
        max_resource: epochs of a member, all stages together.
        interval: epochs between two comparisons; None: a tenth of `max_resource`, at least 1.
        population: number of members; `autodl.tune` passes ``num_trials``.
        quantile: share of the population that is replaced, and share it may copy, up to 0.5.
        resample: probability, for each label, to be drawn anew instead of perturbed.
        labels: what may change; None: all.

    Raises:
        OptionError: an argument is not allowed.
    """

    def __init__(  # the method's own numbers
        self,
        max_resource: int,
        interval: int | None = None,
        population: int = 20,
        quantile: float = 0.2,
        resample: float = 0.25,
        labels: Collection[str] | None = None,
    ) -> None:
        check_whole("max_resource", max_resource)
        interval = max(1, max_resource // 10) if interval is None else interval
        check_whole("interval", interval)
        check_whole("population", population)
        if not 0 < quantile <= 0.5:
            raise OptionError(f"quantile must be above 0 and at most 0.5, got {quantile!r}")
        if not 0 <= resample <= 1:
            raise OptionError(f"resample must be a number from 0 to 1, got {resample!r}")
        self.max_resource = max_resource
        self.interval = interval
        self.population = population
        self.quantile = quantile
        self.resample = resample
        self.labels = None if labels is None else tuple(labels)
        self._space: SearchSpace | None = None
        self._seed = 0
        self._members: dict[int, _Member] = {}
        self._num_live = 0
        self._waiting: list[tuple[int, int]] = []  # heap of (step, trial), all paused
        self._steps: dict[int, list[tuple[float, int]]] = {}  # step -> (score, -trial), ascending

    def bind(self, space: SearchSpace, *, seed: int) -> None:
        """See `autodl.schedulers.protocol.BindableScheduler.bind`."""
        unknown = [label for label in self.labels or () if label not in space]
        if unknown:
            raise OptionError(f"labels {unknown} are not in the space; it has {', '.join(space.labels)}")
        self._space, self._seed = space, seed

    def handle(self, event: Event) -> Sequence[Action]:
        """See `autodl.schedulers.protocol.Scheduler.handle`."""
        match event:
            case WorkerFree(can_start=can_start):
                return self._next_job(can_start=can_start)
            case TrialStarted(trial_id=trial_id, config=config):
                self._members[trial_id] = _Member(config)
                self._num_live += 1
            case TrialReported():
                return (self._decide(event),)
            case TrialPaused(trial_id=trial_id):
                heapq.heappush(self._waiting, (self._members[trial_id].step, trial_id))
            case TrialFinished(trial_id=trial_id) | TrialFailed(trial_id=trial_id):
                self._end(trial_id)
        return ()

    def _end(self, trial_id: int) -> None:
        member = self._members.get(trial_id)
        if member is not None and not member.is_ended:
            member.is_ended = True
            self._num_live -= 1

    def _decide(self, event: TrialReported) -> Action:
        trial_id, step = event.trial_id, event.resource // self.interval
        if event.resource > self.max_resource:
            return Stop(trial_id)
        member = self._members.setdefault(trial_id, _Member({}))
        if event.resource == self.max_resource or step <= member.step:
            return Continue(trial_id)
        member.step, member.score = step, comparable(event.score)
        insort(self._steps.setdefault(step, []), (member.score, -trial_id))
        return Pause(trial_id)

    def _next_job(self, *, can_start: bool) -> Sequence[Action]:
        if can_start and len(self._members) < self.population:
            return (Start(),)
        while self._waiting:
            _, trial_id = heapq.heappop(self._waiting)
            if not self._members[trial_id].is_ended:
                return (self._resume(trial_id),)
        return ()

    def _resume(self, trial_id: int) -> Resume:
        """Exploit and explore, or go on as before."""
        member = self._members[trial_id]
        rng = np.random.default_rng(derive_seed(self._seed, "pbt", trial_id, member.step))
        source = self._better(trial_id, rng)
        if source is None:
            return Resume(trial_id)
        if self._space is None:
            raise OptionError(
                "PBTScheduler explores a space: call bind(space, seed=...), as autodl.tune does"
            )
        model = self._members[source]
        member.config = explore(self._space, model.config, rng, resample=self.resample, labels=self.labels)
        member.step = model.step
        return Resume(trial_id, config=member.config, copy_from=source)

    def _better(self, trial_id: int, rng: np.random.Generator) -> int | None:
        """The member to copy; None: this one is not among the worst, or no better one still trains."""
        member = self._members[trial_id]
        known = self._steps[member.step]
        count = math.floor(self.quantile * len(known) + 1e-9)
        if count == 0 and 2 <= len(known) >= self._num_live:
            count = 1  # a population too small for the quantile
        if bisect_left(known, (member.score, -trial_id)) >= count:
            return None
        best = [-negative_id for score, negative_id in known[len(known) - count :] if score > member.score]
        trained = [i for i in best if not self._members[i].is_ended]
        return trained[int(rng.integers(len(trained)))] if trained else None

    def __repr__(self) -> str:
        return (
            f"PBTScheduler(max_resource={self.max_resource}, interval={self.interval}, "
            f"population={self.population}, quantile={self.quantile}, resample={self.resample}, "
            f"labels={self.labels})"
        )
