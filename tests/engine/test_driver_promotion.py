"""Schedulers that pause, under the whole engine: nothing is lost, resume is replay."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from autodl.journal import read_journal
from autodl.saved_result import load_result
from autodl.schedulers.asha import ASHAScheduler
from autodl.schedulers.hyperband import HyperbandScheduler
from autodl.schedulers.protocol import Resume, Start, TrialPaused, TrialStarted, WorkerFree
from autodl.schedulers.sync_halving import SyncHalvingScheduler
from autodl.simulation import simulate
from autodl.spaces import Categorical, Real
from autodl.trial import TrialState
from autodl.tuner import tune

SPACE = {"x": Real(0.0, 1.0)}


def train(args, reporter) -> None:
    for epoch in reporter.epochs(9):
        reporter.save(epoch)
        reporter(epoch=epoch, loss=args.x + 1 / epoch)


def search(scheduler, path: Path | None = None, space=SPACE, **options):
    options = {"num_trials": 9, "resume": path is not None, "searcher": "random", **options}
    return tune(train, space, metric="loss", scheduler=scheduler, path=path, **options)


def resources(result) -> Counter:
    return Counter(trial.resource for trial in result.trials)


def asha() -> ASHAScheduler:
    return ASHAScheduler(9, type="promotion")


def test_promoted_trials_go_on_and_those_left_over_end_with_the_run(tmp_path: Path) -> None:
    result = search(asha(), tmp_path / "run")
    assert result.stopped_by == "num_trials"
    completed = [t for t in result.trials if t.state is TrialState.COMPLETED]
    assert {t.state for t in result.trials} <= {TrialState.COMPLETED, TrialState.STOPPED}
    assert all(t.ended_s is not None for t in result.trials)
    assert result.best_trial in completed
    assert all([r.resource for r in t.reports] == list(range(1, t.resource + 1)) for t in result.trials)
    saved = load_result(tmp_path / "run")
    assert [t.state for t in saved.trials] == [t.state for t in result.trials]
    assert sum(t.resource for t in result.trials) < 9 * 9 / 2


def test_a_longer_run_takes_up_what_the_shorter_one_left_paused(tmp_path: Path) -> None:
    first = search(asha(), tmp_path / "run", num_trials=7)
    again = search(asha(), tmp_path / "run", num_trials=30)
    assert len(again.trials) == 30
    assert again.stopped_by == "num_trials"
    assert all(a.config == b.config for a, b in zip(first.trials, again.trials, strict=False))
    assert resources(again)[9] >= 3
    for trial in again.trials:
        assert [r.resource for r in trial.reports] == list(range(1, trial.resource + 1))


def test_a_searcher_at_its_end_does_not_keep_paused_trials_waiting() -> None:
    result = search(asha(), space={"x": Categorical(*range(1, 10))}, searcher="grid", num_trials=None)
    assert resources(result) == {1: 6, 3: 2, 9: 1}
    assert result.stopped_by == "exhausted"
    assert result.best_config == {"x": 1}


@pytest.mark.parametrize(
    "make",
    [asha, lambda: HyperbandScheduler(9, type="promotion"), lambda: SyncHalvingScheduler(9)],
    ids=["asha", "hyperband", "sync_halving"],
)
def test_resume_at_every_line_of_the_journal_replays_the_scheduler(tmp_path: Path, make) -> None:
    """Any divergence of replay would warn, and warnings are errors."""
    full = search(make(), tmp_path / "full", num_trials=7)
    lines = (tmp_path / "full/journal.jsonl").read_bytes().splitlines(keepends=True)
    for count in range(1, len(lines) + 1, 3):
        path = tmp_path / f"cut{count}"
        path.mkdir()
        (path / "journal.jsonl").write_bytes(b"".join(lines[:count]))
        result = search(make(), path, num_trials=7)
        assert [t.state for t in result.trials] == [t.state for t in full.trials]
        assert [[r.resource for r in t.reports] for t in result.trials] == [
            [r.resource for r in t.reports] for t in full.trials
        ]


@pytest.mark.parametrize("name", ["asha", "hyperband", "sync_halving", "median", "pbt"])
def test_every_name_runs_on_many_simulated_workers_with_faults(name: str) -> None:
    result = simulate(
        lambda config, epoch: config["x"] + 1 / epoch,
        SPACE,
        metric="loss",
        scheduler=name,
        searcher="random",
        max_resource=27,
        num_trials=60,
        num_workers=8,
        stragglers=0.5,
        loss_rate=0.02,
        failure_rate=0.05,
    )
    assert len(result.trials) == 60
    assert all(trial.state.ended for trial in result.trials)
    assert TrialState.FAILED in {trial.state for trial in result.trials}
    assert result.best_value < 0.2


def test_sync_halving_ends_the_losers_of_a_rung_at_once(tmp_path: Path) -> None:
    result = search(SyncHalvingScheduler(9), tmp_path / "run")
    assert resources(result) == {1: 6, 3: 2, 9: 1}
    ends = [e["state"] for e in read_journal(tmp_path / "run/journal.jsonl") if e["event"] == "end"]
    assert ends == ["stopped"] * 8 + ["completed"]


def test_paused_trials_run_on_in_other_processes() -> None:
    result = search(asha(), num_workers=2, num_trials=12)
    assert resources(result)[9] >= 1
    assert all(
        [r.resource for r in t.reports] == list(range(1, t.resource + 1)) and t.state.ended
        for t in result.trials
    )


def test_callbacks_see_pauses() -> None:
    class Seen:
        def __init__(self) -> None:
            self.hooks = []

        def on_trial_start(self, trial) -> None:
            self.hooks.append((trial.trial_id, "start"))

        def on_trial_pause(self, trial) -> None:
            assert trial.state is TrialState.PAUSED
            self.hooks.append((trial.trial_id, "pause"))

        def on_trial_end(self, trial) -> None:
            assert trial.state.ended
            self.hooks.append((trial.trial_id, "end"))

    seen = Seen()
    result = search(asha(), callbacks=[seen])
    for trial in result.trials:
        mine = [hook for trial_id, hook in seen.hooks if trial_id == trial.trial_id]
        ran = ["start", "pause"] * (mine.count("start") - 1) + ["start"]
        assert mine in ([*ran, "end"], [*ran, "pause", "end"])


class Spy(ASHAScheduler):
    """Keeps what it is told and answers."""

    def __init__(self) -> None:
        super().__init__(9, type="promotion")
        self.log = []

    def handle(self, event):
        actions = super().handle(event)
        self.log.append((event, actions))
        return actions


def test_scheduler_is_told_of_starts_and_of_pauses_carried_out() -> None:
    spy = Spy()
    result = search(spy, num_trials=4)
    started = [event for event, _ in spy.log if isinstance(event, TrialStarted)]
    assert [(e.trial_id, e.config) for e in started] == [(t.trial_id, t.config) for t in result.trials]
    for i, (_, actions) in enumerate(spy.log):
        if actions and isinstance(actions[0], Start):
            assert isinstance(spy.log[i + 1][0], TrialStarted)
        if actions and isinstance(actions[0], Resume):
            assert TrialPaused(actions[0].trial_id) in [earlier for earlier, _ in spy.log[:i]]
    assert [e.can_start for e, _ in spy.log if isinstance(e, WorkerFree)].count(False) >= 1
