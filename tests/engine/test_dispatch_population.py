"""Weights and configs that change on the way: whole runs of population based training."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import pytest

from autodl.engine.run_directory import RunDirectory
from autodl.errors import ConfigError, OptionError
from autodl.journal import read_journal
from autodl.saved_result import load_result
from autodl.schedulers.pbt import PBTScheduler
from autodl.schedulers.protocol import Continue, Pause, Resume, Start, TrialPaused, TrialReported, WorkerFree
from autodl.simulation import simulate
from autodl.spaces import Real
from autodl.trial import TrialState
from autodl.tuner import tune

EPOCHS, INTERVAL = 30, 2
SPACE = {"rate": Real(0.01, 1.0, log=True)}


def descend(error: float, rate: float) -> float:
    """An epoch of training that needs a rate of the error's own size: lower is slow, higher is too rough."""
    return error * (1 - 0.12 * math.exp(-3 * math.log(rate / error) ** 2))


def train(args, reporter) -> None:
    error = reporter.load() or 1.0
    for epoch in reporter.epochs(EPOCHS):
        error = descend(error, args.rate)
        if epoch % INTERVAL == 0:
            reporter.save(error)
        reporter(epoch=epoch, error=error)


def best_constant() -> float:
    """The lowest error of 2,000 constant rates."""
    lowest = 1.0
    for i in range(2000):
        error = 1.0
        for _ in range(EPOCHS):
            error = descend(error, 10 ** (-2 * i / 1999))
        lowest = min(lowest, error)
    return lowest


def search(path: Path | None = None, members: int = 15, **options):
    return tune(
        train,
        SPACE,
        metric="error",
        scheduler=PBTScheduler(EPOCHS, interval=INTERVAL, population=members),
        searcher="random",
        num_trials=members,
        path=path,
        **options,
    )


def replayed(schedule) -> float:
    """The error that a schedule comes to by itself."""
    error = 1.0
    for epoch in range(1, EPOCHS + 1):
        stage = [s for s in schedule if s.resource < epoch][-1]
        error = descend(error, stage.config["rate"])
    return error


@pytest.mark.parametrize("workers", [1, 2])
def test_it_finds_a_schedule_that_no_constant_config_reaches(workers: int) -> None:
    result = search(num_workers=workers)
    assert all(trial.state is TrialState.COMPLETED for trial in result.trials)
    assert result.best_value < 0.95 * best_constant()
    best = result.best_trial
    rates = [stage.config["rate"] for stage in best.schedule]
    assert len(rates) >= 3
    assert rates[-1] < rates[0]
    assert best.best.resource == EPOCHS
    if workers == 1:  # on more, a source may have trained on while it was copied
        assert replayed(best.schedule) == pytest.approx(best.best.value)
    assert result.best_config == best.best.config


def story(path: Path) -> list[tuple]:
    """What a journal says of decisions and measurements; clock, requeues and attempts left out."""
    kept = (
        "event",
        "trial",
        "config",
        "copy_from",
        "to",
        "full",
        "resource",
        "metrics",
        "decision",
        "state",
        "why",
    )
    events = [e for e in read_journal(path / "journal.jsonl") if e["event"] not in ("run", "requeue", "done")]
    return [tuple((key, str(event[key])) for key in kept if key in event) for event in events]


def test_a_driver_killed_around_any_copy_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    run, states, plain = tmp_path / "run", [], RunDirectory.write

    def write(self, event) -> None:
        """What lies on the disk at the moments before and after each of some events."""
        number = len(states)
        copies = "copy_from" in event
        before, after = tmp_path / f"{number}-before", tmp_path / f"{number}-after"
        if copies:
            shutil.copytree(run, before)
        plain(self, event)
        if copies or number % 16 == 1:
            shutil.copytree(run, after)
        states.append((before, after))

    monkeypatch.setattr(RunDirectory, "write", write)
    full = search(run, members=5)
    monkeypatch.undo()
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    cuts = [path for pair in states for path in pair if path.exists()]
    assert sum("copy_from" in dict(event) for event in story(run)) >= 3
    assert len(cuts) >= 10
    for path in cuts:
        result = search(path, members=5, resume=True)
        assert story(path) == story(run)
        assert [t.schedule for t in result.trials] == [t.schedule for t in full.trials]
    leftovers = [p for path in (run, *cuts) for p in path.rglob("*") if p.name.endswith((".copied", ".part"))]
    assert leftovers == []


def test_history_is_in_journal_leaderboard_and_saved_result(tmp_path: Path) -> None:
    result = search(tmp_path / "run", members=5)
    saved = load_result(tmp_path / "run")
    assert [t.schedule for t in saved.trials] == [t.schedule for t in result.trials]
    assert saved.best_config == result.best_config
    table = result.leaderboard()
    assert table["rate"][0] == result.best_config["rate"]
    for event in read_journal(tmp_path / "run/journal.jsonl"):
        if event.get("copy_from") is not None:
            trial = result.trials[event["trial"]]
            assert event["config"] in [stage.config for t in result.trials for stage in t.schedule] or (
                event["config"] in [report.config for report in trial.reports]
            )


def test_a_function_that_saves_nothing_is_told_so() -> None:
    def forgets(args, reporter) -> None:
        for epoch in reporter.epochs(6):
            reporter(epoch=epoch, error=args.rate)

    with pytest.warns(RuntimeWarning, match=r"which saved none.*Call reporter\.save"):
        result = tune(
            forgets, SPACE, metric="error", scheduler=PBTScheduler(6, 2, 5), searcher="random", num_trials=5
        )
    assert all(trial.state is TrialState.COMPLETED for trial in result.trials)


def test_simulated_population_needs_no_weights() -> None:
    def run():
        return simulate(
            lambda config, epoch: config["rate"] / epoch,
            SPACE,
            metric="error",
            scheduler="pbt",
            searcher="random",
            max_resource=20,
            num_trials=10,
            num_workers=3,
        )

    first, second = run(), run()
    assert [t.schedule for t in first.trials] == [t.schedule for t in second.trials]
    assert any(len(t.schedule) > 1 for t in first.trials)
    assert len(first.trials) == 10


class Then:
    """Pauses trials 0 and 1 at their first report, then answers a free worker with what it is given."""

    def __init__(self, *answers) -> None:
        self.answers, self.paused = list(answers), 0

    def handle(self, event):
        match event:
            case WorkerFree(can_start=True):
                return [Start()]
            case WorkerFree() if self.answers:
                return [self.answers.pop(0)]
            case TrialPaused():
                self.paused += 1
            case TrialReported(trial_id=i, resource=resource):
                return [Pause(i) if resource == 1 and self.paused < 2 else Continue(i)]
        return []


def counts(args, reporter) -> None:
    total = reporter.load() or 0.0
    for epoch in reporter.epochs(3):
        total += args.rate
        reporter.save(total)
        reporter(epoch=epoch, error=total)


def tell(*answers):
    return tune(counts, SPACE, metric="error", scheduler=Then(*answers), searcher="random", num_trials=2)


def test_config_alone_and_weights_alone_can_change() -> None:
    result = tell(Resume(0, config={"rate": 0.5}), Resume(1, copy_from=0))
    first, second = result.trials
    start = first.reports[0].value
    assert [r.value for r in first.reports] == pytest.approx([start, start + 0.5, start + 1.0])
    assert [r.config["rate"] for r in first.reports] == [start, 0.5, 0.5]
    assert [s.trial_id for s in second.schedule] == [0, 0, 1]  # trial 0 had come to its end by then
    assert len(second.reports) == 1  # nothing was left to train


def test_copied_epochs_are_reported_anew_from_the_copys_epoch_on() -> None:
    result = tell(Resume(1, copy_from=0), Resume(0))
    mine, others = result.trials[1], result.trials[0].config["rate"]
    assert [r.resource for r in mine.reports] == [1, 2, 3]
    assert mine.reports[1].value == pytest.approx(others + mine.config["rate"])


def test_what_cannot_be_resumed_so_is_refused() -> None:
    with pytest.raises(ConfigError, match="rate"):
        tell(Resume(0, config={"rate": 7.0}))
    for source in (0, 5, -1):
        with pytest.raises(OptionError, match=f"copies the weights of trial {source} to trial 0"):
            tell(Resume(0, copy_from=source))
    with pytest.raises(OptionError, match="resumes trial 7, which is not paused"):
        tell(Resume(7))


def test_a_full_disk_under_a_copy_ends_the_run_and_resume_goes_on(tmp_path: Path, monkeypatch) -> None:
    full = search(tmp_path / "full", members=5)

    def no_space(source, target) -> None:
        Path(target).write_bytes(b"part")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", no_space)
        with pytest.warns(RuntimeWarning, match="cannot copy the checkpoint .*free some space"):
            result = search(tmp_path / "run", members=5)
    assert result.stopped_by == "journal"
    assert result.best_value > 0
    again = search(tmp_path / "run", members=5, resume=True)
    assert [t.schedule for t in again.trials] == [t.schedule for t in full.trials]
    assert [[r.value for r in t.reports] for t in again.trials] == [
        [r.value for r in t.reports] for t in full.trials
    ]
