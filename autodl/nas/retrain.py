"""The end of a search: train the best few from scratch, and keep the best of them.

Scores on the way (shared weights, short trainings) are noisy, and the maximum of noisy scores is an
unlucky pick; among the first few the best is mostly there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from autodl.nas.data import NASData
from autodl.nas.decisions import Arch
from autodl.nas.evaluators import Evaluator, Trained, arch_key
from autodl.nas.fitting import FitOptions, accuracy
from autodl.nas.judge import Judge
from autodl.nas.result import NASResult, Record
from autodl.nas.space import Space
from autodl.nas.strategy import Run
from autodl.rng import derive_seed

PHASE = "retrain"

TIME_SHARE = 0.2
"""Of a time limit, kept for retraining where that is asked for."""

State = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An architecture as the search scored it.

    Attributes:
        arch: the architecture.
        metric: of the search.
        cost: None where nobody asked.
        reward: what candidates are ordered by.
    """

    arch: Arch
    metric: float | None
    cost: float | None
    reward: float


def ranking(records: Iterable[Record]) -> list[Candidate]:
    """Each architecture once with its best reward, the best first.

    Args:
        records: of architectures; ``extra["reward"]`` counts where there is one, else the metric.
    """
    best: dict[str, Candidate] = {}
    for record in records:
        if record.arch is None or record.metric is None:
            continue
        made = Candidate(record.arch, record.metric, record.cost, record.extra.get("reward", record.metric))
        key = arch_key(record.arch)
        if key not in best or made.reward > best[key].reward:
            best[key] = made
    return sorted(best.values(), key=lambda candidate: -candidate.reward)


class Retraining:
    """Trains the first few of a ranking from scratch.

    Args:
        space: of the architectures.
        data: images; the validation part chooses.
        top: how many.
        fit: how each is trained.
        seed: of weights and orders of images.
    """

    def __init__(
        self, space: Space, data: NASData, top: int = 8, fit: FitOptions | None = None, *, seed: int = 0
    ) -> None:
        self.space, self.data, self.top = space, data, top
        self.trained = Trained(space, data, fit, seed=derive_seed(seed, PHASE))

    def run(
        self, run: Run, candidates: list[Candidate], judge: Judge, state: State
    ) -> tuple[Candidate, nn.Module] | None:
        """The best candidate after retraining, and its network; None: there was no time for one.

        Args:
            run: notes each training; one that is resumed goes on after the last noted one.
            candidates: the best first.
            judge: weighs metric and cost.
            state: of the search, see `Run.save`.
        """
        known = {arch_key(r.arch): r for r in run.history if r.arch and r.extra.get("phase") == PHASE}
        best: tuple[Candidate, nn.Module | None] | None = None
        for candidate in candidates[: self.top]:
            record, net = known.get(arch_key(candidate.arch)), None
            if record is None:
                if run.is_over:
                    break
                net = self.trained.train(candidate.arch)
                made = judge.weigh(accuracy(net, self.data), candidate.cost)
                record = run.record(candidate.arch, made.metric, made.cost, phase=PHASE, reward=made.reward)
                run.save(state)
            reward: float = record.extra["reward"]
            if best is None or reward > best[0].reward:
                best = Candidate(candidate.arch, record.metric, record.cost, reward), net
        if best is None:
            return None
        # A resumed search knows how good it was, not its weights; the same seed gives them again.
        return best[0], self.trained.train(best[0].arch) if best[1] is None else best[1]


def search_share(top: int) -> float:
    """Of a time limit, what a search may take that retrains so many."""
    return 1 - TIME_SHARE if top else 1.0


def finish(  # noqa: PLR0913  # what every multi-trial and one-shot strategy ends with
    run: Run,
    space: Space,
    data: NASData | Evaluator,
    candidates: list[Candidate],
    judge: Judge,
    state: State,
    *,
    top: int = 0,
    fit: FitOptions | None = None,
    supernet: nn.Module | None = None,
    probabilities: Mapping[str, list[float]] | None = None,
) -> NASResult:
    """The result of a search: its best candidate, retrained if asked for.

    Args:
        run: the search.
        space: of the architectures.
        data: images to retrain on; with an evaluator nothing is retrained.
        candidates: the best first; empty: there was no time for any, one is drawn.
        judge: weighs metric and cost.
        state: of the search, see `Run.save`.
        top: candidates that are retrained.
        fit: how.
        supernet: weights for a network that was not retrained; None: they are drawn.
        probabilities: for the result.
    """
    more = {"probabilities": dict(probabilities or {})}
    if not candidates:
        arch = space.sample(derive_seed(run.seed, "no time") % 2**32)
        return run.result(arch, space.realise(arch, supernet, run.seed), **more)
    best = candidates[0]
    if top and isinstance(data, NASData):
        found = Retraining(space, data, top, fit, seed=run.seed).run(run, candidates, judge, state)
        if found is not None:
            best, net = found
            return run.result(best.arch, net, metric=best.metric, cost=best.cost, **more)
    net = space.realise(best.arch, supernet, run.seed)
    return run.result(best.arch, net, metric=best.metric, cost=best.cost, **more)
