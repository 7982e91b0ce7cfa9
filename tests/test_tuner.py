from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from autodl.engine.types import Objective, RunOptions
from autodl.errors import (
    AllTrialsFailedError,
    ConfigError,
    JournalError,
    OptionError,
    RunExistsError,
    UnknownNameError,
)
from autodl.executors.joblib_pool import JoblibExecutor
from autodl.executors.serial import SerialExecutor
from autodl.journal import read_journal
from autodl.schedulers.fifo import FIFOScheduler
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
    TrialReported,
    WorkerFree,
)
from autodl.searchers.random_search import RandomSearcher
from autodl.spaces import Categorical, Int, Real, SearchSpace, args
from autodl.spaces.decorators import Args
from autodl.trial import Report, TrialState
from autodl.tuner import Tuner, infer_mode, make_executor, tune

SPACE = {"x": Real(0.0, 1.0), "kind": Categorical("a", "b"), "epochs": 3}


def train(args, reporter) -> None:
    for epoch in reporter.epochs(args.epochs):
        reporter(loss=(args.x - 0.3) ** 2 + 1 / epoch, tenth=0.1)


def quick(**options):
    return tune(train, SPACE, **{"metric": "loss", "num_trials": 5, **options})


def configs(result) -> list[dict]:
    return [trial.config for trial in result.trials]


class Scripted:
    """A searcher that proposes what it is given and keeps what it is told."""

    def __init__(self, xs: Sequence[float | None]) -> None:
        self.xs, self.seen, self.asked = list(xs), [], []

    def suggest(self, trial_id: int):
        self.asked.append(trial_id)
        x = self.xs.pop(0) if self.xs else None
        return None if x is None else {"x": x, "kind": "a"}

    def observe(self, report: Report) -> None:
        self.seen.append(report)


class Recording:
    """A scheduler that answers by a table of (trial, resource), and keeps the events."""

    def __init__(self, answers: dict[tuple[int, int], Sequence[Action]] | None = None) -> None:
        self.answers, self.events, self.queue = answers or {}, [], []

    def handle(self, event: Event) -> Sequence[Action]:
        self.events.append(event)
        if isinstance(event, WorkerFree):
            return [self.queue.pop(0)] if self.queue else [Start()]
        if isinstance(event, TrialReported):
            default = [Continue(event.trial_id)]
            return self.answers.get((event.trial_id, event.resource), default)
        return []


# ---------------------------------------------------------------------- the plain course


def test_all_trials_complete_and_the_best_is_found() -> None:
    result = quick(num_trials=20)
    assert [t.trial_id for t in result.trials] == list(range(20))
    assert {t.state for t in result.trials} == {TrialState.COMPLETED}
    best = min(result.trials, key=lambda t: abs(t.config["x"] - 0.3))
    assert result.best_trial is best
    assert result.best_config == best.config
    assert result.best_value == pytest.approx((best.config["x"] - 0.3) ** 2 + 1 / 3)
    assert result.mode == "min"
    assert result.stopped_by == "num_trials"
    assert [r.resource for r in best.reports] == [1, 2, 3]
    assert best.reports[0].score == -best.reports[0].value
    assert best.reports[0].metrics["tenth"] == 0.1


def test_a_constant_number_of_epochs_is_the_resource_of_a_full_trial() -> None:
    @args(x=Real(0.0, 1.0), epochs=9)
    def train(args, reporter):
        for epoch in reporter.epochs(args.epochs):
            reporter(loss=args.x / (epoch + 1))

    by_name = tune(train, metric="loss", num_trials=12, searcher="random", scheduler="asha")
    said = tune(train, metric="loss", num_trials=12, searcher="random", scheduler="asha", max_resource=9)
    resources = [trial.resource for trial in by_name.trials]
    assert resources == [trial.resource for trial in said.trials]
    assert max(resources) == 9 and min(resources) == 1
    searched = train.update(epochs=Int(1, 9))
    with pytest.raises(OptionError, match="max_resource"):  # no constant: nothing is guessed
        tune(searched, metric="loss", num_trials=2, scheduler="asha")


def test_decorated_function_brings_its_space() -> None:
    tuned = args(**SPACE)(train)
    assert configs(tune(tuned, metric="loss", num_trials=5)) == configs(quick())


def test_same_seed_same_trials_whatever_the_workers() -> None:
    one, two, other = (
        quick(searcher="random", num_trials=6, **options) for options in ({}, {"num_workers": 2}, {"seed": 1})
    )
    assert configs(one) == configs(two) != configs(other)
    assert [t.best.value for t in one.trials] == [t.best.value for t in two.trials]


def test_points_to_evaluate_come_first() -> None:
    result = quick(points_to_evaluate=[{"x": 0.5}, {"kind": "b"}])
    assert [c["x"] for c in configs(result)][:2] == [0.5, 0.5]
    assert configs(result)[1]["kind"] == "b"


def test_grid_ends_by_itself() -> None:
    result = tune(
        train, {"x": 0.5, "kind": Categorical("a", "b", "c"), "epochs": 1}, metric="loss", searcher="grid"
    )
    assert sorted(c["kind"] for c in configs(result)) == ["a", "b", "c"]
    assert result.stopped_by == "exhausted"


def test_searcher_is_told_measurements_and_ends() -> None:
    searcher = Scripted([0.3, 0.8])
    quick(searcher=searcher, num_trials=2)
    assert [(r.trial_id, r.state, r.resource) for r in searcher.seen[:4]] == [
        (0, TrialState.RUNNING, 1),
        (0, TrialState.RUNNING, 2),
        (0, TrialState.RUNNING, 3),
        (0, TrialState.COMPLETED, 3),
    ]
    assert searcher.seen[3].value == pytest.approx(1 / 3)
    assert searcher.asked == [0, 1]


def test_searcher_with_nothing_now_is_asked_again_after_the_next_report() -> None:
    searcher = Scripted([0.1, None, None, 0.2])
    with JoblibExecutor(2) as executor:
        result = quick(searcher=searcher, executor=executor)
    assert [c["x"] for c in configs(result)] == [0.1, 0.2]
    assert result.stopped_by == "exhausted"
    assert searcher.asked[:4] == [0, 1, 1, 1]


def test_numpy_scalars_of_a_searcher_become_plain() -> None:
    import numpy as np

    result = quick(searcher=Scripted([np.float64(0.25)]))
    assert type(result.trials[0].config["x"]) is float


def test_reported_resource_by_epoch_by_loop_by_count() -> None:
    def mixed(args, reporter) -> None:
        reporter(loss=3.0)
        reporter(loss=2.0)
        reporter(epoch=7, loss=1.0)

    result = tune(mixed, SPACE, metric="loss", num_trials=1)
    assert [r.resource for r in result.trials[0].reports] == [1, 2, 7]


def test_a_second_report_of_an_epoch_is_kept_but_decides_nothing() -> None:
    scheduler = Recording()

    def twice(args, reporter) -> None:
        reporter(epoch=1, loss=2.0)
        reporter(epoch=1, loss=1.0)
        reporter(epoch=2, tenth=0.1)

    result = tune(twice, SPACE, metric="loss", num_trials=1, scheduler=scheduler)
    assert [r.value for r in result.trials[0].reports] == [2.0, 1.0, None]
    assert [e for e in scheduler.events if isinstance(e, TrialReported)] == [TrialReported(0, 1, -2.0)]
    assert result.best_value == 1.0


# ---------------------------------------------------------------------- schedulers


def test_stop_ends_a_trial_for_good() -> None:
    scheduler = Recording({(1, 2): [Stop(1)]})
    result = quick(scheduler=scheduler, num_trials=3)
    assert [t.state for t in result.trials] == [
        TrialState.COMPLETED,
        TrialState.STOPPED,
        TrialState.COMPLETED,
    ]
    assert result.trials[1].resource == 2
    assert TrialFinished(1, 2, result.trials[1].best.score) in scheduler.events


class PauseThenResume(Recording):
    """Pauses each trial at resource 1; resumes the first once two are paused."""

    def handle(self, event: Event) -> Sequence[Action]:
        self.events.append(event)
        paused = [e.trial_id for e in self.events if isinstance(e, TrialReported) and e.resource == 1]
        if isinstance(event, WorkerFree):
            if len(paused) < 2:
                return [Start()]
            return [Resume(0)] if not any(isinstance(e, TrialFinished) for e in self.events) else []
        if isinstance(event, TrialReported):
            return [Pause(event.trial_id) if event.resource == 1 else Continue(event.trial_id)]
        return []


def count_and_save(args, reporter) -> None:
    total = reporter.load() or 0
    for _ in reporter.epochs(3):
        total += 1
        reporter.save(total)
        reporter(loss=float(total), attempt=reporter.attempt)


def test_pause_and_resume_go_on_from_the_checkpoint(tmp_path: Path) -> None:
    scheduler = PauseThenResume()
    result = tune(
        count_and_save, SPACE, metric="loss", scheduler=scheduler, num_trials=9, path=tmp_path / "run"
    )
    assert [t.state for t in result.trials] == [TrialState.COMPLETED, TrialState.STOPPED]  # the run is over
    assert [(r.resource, r.value, r.metrics["attempt"]) for r in result.trials[0].reports] == [
        (1, 1.0, 1),
        (2, 2.0, 2),
        (3, 3.0, 2),
    ]
    assert result.trials[0].attempt == 2
    assert [e["event"] for e in read_journal(tmp_path / "run/journal.jsonl")].count("resume") == 1


def test_repeated_epochs_of_a_trial_without_checkpoint_are_not_told_twice() -> None:
    scheduler = PauseThenResume()
    result = quick(scheduler=scheduler, num_trials=9)
    assert [r.resource for r in result.trials[0].reports] == [1, 2, 3]
    told = [(e.trial_id, e.resource) for e in scheduler.events if isinstance(e, TrialReported)]
    assert sorted(told) == [(0, 1), (0, 2), (0, 3), (1, 1)]


def test_to_resource_pauses_there() -> None:
    scheduler = Recording()
    scheduler.queue = [Start(to_resource=2), Resume(0, to_resource=None)]
    result = tune(count_and_save, SPACE, metric="loss", scheduler=scheduler, num_trials=1)
    assert [r.metrics["attempt"] for r in result.trials[0].reports] == [1, 1, 2]
    assert result.trials[0].state is TrialState.COMPLETED


def test_other_trials_can_be_stopped_running_or_paused() -> None:
    answers = {(0, 1): [Pause(0)], (1, 2): [Continue(1), Stop(0)]}
    result = quick(scheduler=Recording(answers), num_trials=2)
    assert [t.state for t in result.trials] == [TrialState.STOPPED, TrialState.COMPLETED]


def test_asha_saves_epochs() -> None:
    full = quick(num_trials=30, scheduler="fifo")
    halved = quick(num_trials=30, scheduler="asha", max_resource=3)
    spent = [sum(t.resource for t in r.trials) for r in (full, halved)]
    assert spent[0] == 90
    assert spent[1] < 70
    assert {t.state for t in halved.trials} == {TrialState.COMPLETED, TrialState.STOPPED}


@pytest.mark.parametrize(
    "answer", [[], [Continue(0), Stop(0)], [Continue(1)], [Continue(0), Start()], [Continue(0), Pause(1)]]
)
def test_scheduler_that_breaks_its_contract_is_named(answer) -> None:
    with pytest.raises(OptionError, match="scheduler"):
        quick(scheduler=Recording({(0, 1): answer}))


def test_scheduler_cannot_resume_what_is_not_paused() -> None:
    scheduler = Recording()
    scheduler.queue = [Resume(5)]
    with pytest.raises(OptionError, match="trial 5, which is not paused"):
        quick(scheduler=scheduler)


# ---------------------------------------------------------------------- failures of trials


def test_a_trial_that_raises_is_recorded_and_the_search_goes_on() -> None:
    def fragile(args, reporter) -> None:
        reporter(loss=args.x)
        if reporter.trial_id == 1:
            raise RuntimeError("boom\nsecond line")

    scheduler = Recording()
    result = tune(fragile, SPACE, metric="loss", num_trials=3, scheduler=scheduler)
    assert [t.state for t in result.trials] == [TrialState.COMPLETED, TrialState.FAILED, TrialState.COMPLETED]
    assert result.trials[1].error.startswith("RuntimeError: boom\n\nTraceback")
    assert TrialFailed(1) in scheduler.events


def test_all_failed_shows_the_first_traceback() -> None:
    def broken(args, reporter) -> None:
        raise KeyError(f"no_{reporter.trial_id}")

    with pytest.raises(AllTrialsFailedError, match=r"all 3 trials.*\n.*KeyError: 'no_0'(.*\n)*.*in broken"):
        tune(broken, SPACE, metric="loss", num_trials=3)


def test_a_function_that_always_fails_ends_the_run_early() -> None:
    def broken(args, reporter) -> None:
        raise ValueError

    with pytest.raises(AllTrialsFailedError, match="all 30 trials"):
        tune(broken, SPACE, metric="loss", num_trials=10_000)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_fails_the_trial_with_that_reason(value: float) -> None:
    def diverges(args, reporter) -> None:
        reporter(loss=1.0)
        reporter(loss=1.0 if reporter.trial_id else value)

    result = tune(diverges, SPACE, metric="loss", num_trials=2)
    assert result.trials[0].state is TrialState.FAILED
    assert "at resource 2" in result.trials[0].error
    assert result.best_trial is result.trials[1]


def test_a_trial_that_never_reports_the_metric_says_which_is_missing() -> None:
    def other(args, reporter) -> None:
        reporter(accuracy=1.0)

    with pytest.raises(AllTrialsFailedError, match="never reported the metric 'loss'"):
        tune(other, SPACE, metric="loss", num_trials=1)


@pytest.mark.parametrize("bad", ["0.5", None, [1.0, 2.0]])
def test_a_metric_must_be_a_number(bad) -> None:
    with pytest.raises(AllTrialsFailedError, match="metric 'loss' must be a number"):
        tune(lambda args, reporter: reporter(loss=bad), SPACE, metric="loss", num_trials=1)


# ---------------------------------------------------------------------- arguments


def test_bad_arguments_are_named() -> None:
    with pytest.raises(OptionError, match="num_trials or time_limit"):
        tune(train, SPACE, metric="loss")
    with pytest.raises(OptionError, match="what is to be searched"):
        tune(train, metric="loss", num_trials=1)
    with pytest.raises(OptionError, match="has a space"):
        tune(args(x=Int(1, 2))(train), SPACE, metric="loss", num_trials=1)
    with pytest.raises(UnknownNameError, match="random, grid, bayesian"):
        quick(searcher="best")
    for options in ({"num_trials": 0}, {"mode": "up"}, {"seed": -1}, {"num_workers": 0}, {"metric": ""}):
        with pytest.raises(OptionError):
            quick(**options)
    with pytest.raises(OptionError, match="positive"):
        quick(time_limit=0)
    with pytest.raises(ConfigError, match="x"):
        quick(searcher=Scripted([7.0]))


def test_mode_by_the_metrics_name() -> None:
    smaller = ("loss", "val_loss", "top1_error", "RMSE", "val/mae", "time")
    assert {infer_mode(m) for m in smaller} == {"min"}
    assert {infer_mode(m) for m in ("accuracy", "f1", "closs", "runtime_ok")} == {"max"}
    assert Objective("f1", "max").score(0.5) == 0.5


def test_executor_by_number_of_workers() -> None:
    assert isinstance(make_executor(1), SerialExecutor)
    assert isinstance(make_executor(3), JoblibExecutor)


# ---------------------------------------------------------------------- paths


def test_run_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    quick(path=tmp_path / "run")
    before = (tmp_path / "run/journal.jsonl").read_bytes()
    with pytest.raises(RunExistsError, match="resume=True"):
        quick(path=tmp_path / "run")
    assert (tmp_path / "run/journal.jsonl").read_bytes() == before
    with pytest.raises(OptionError, match="is a file"):
        quick(path=tmp_path / "run/journal.jsonl")


def test_only_one_process_runs_in_a_path(tmp_path: Path) -> None:
    def nested(args, reporter) -> None:
        reporter(loss=1.0)
        quick(path=tmp_path / "run", resume=True)

    with pytest.raises((AllTrialsFailedError, JournalError), match="in use"):
        result = tune(nested, SPACE, metric="loss", num_trials=1, path=tmp_path / "run")
        raise JournalError(result.trials[0].error)


def test_trial_has_its_own_folder_and_seed(tmp_path: Path) -> None:
    def writes(args, reporter) -> None:
        (reporter.checkpoint_dir / "note.txt").write_text(str(reporter.seed))
        reporter(loss=1.0)

    result = tune(writes, SPACE, metric="loss", num_trials=2, path=tmp_path / "ü run")
    notes = [(result.checkpoint_dir(i) / "note.txt").read_text() for i in range(2)]
    assert result.path == tmp_path / "ü run"
    assert notes[0] != notes[1]
    again = tune(writes, SPACE, metric="loss", num_trials=2)
    assert [(again.checkpoint_dir(i) / "note.txt").read_text() for i in range(2)] == notes


def test_the_best_checkpoints_are_kept(tmp_path: Path) -> None:
    def saves(args, reporter) -> None:
        reporter.save({"x": args.x})
        (reporter.checkpoint_dir / "mine.txt").write_text("stays")
        reporter(loss=args.x)

    searcher = Scripted([0.5, 0.1, 0.9, 0.3])
    result = tune(
        saves, SPACE, metric="loss", num_trials=4, searcher=searcher, path=tmp_path / "r", keep_checkpoints=2
    )
    kept = [i for i in range(4) if (result.checkpoint_dir(i) / "checkpoint.pt").exists()]
    assert kept == [1, 3]
    assert all((result.checkpoint_dir(i) / "mine.txt").exists() for i in range(4))


# ---------------------------------------------------------------------- callbacks


class Log:
    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def on_run_start(self, run) -> None:
        self.calls.append(
            ("run_start", run.metric, run.mode, run.num_trials, run.num_workers, len(run.trials))
        )

    def on_trial_start(self, trial) -> None:
        self.calls.append(("start", trial.trial_id))

    def on_report(self, trial, report) -> None:
        self.calls.append(("report", trial.trial_id, report.resource))

    def on_trial_end(self, trial) -> None:
        self.calls.append(("end", trial.trial_id, trial.state.value))

    def on_run_end(self, run) -> None:
        self.calls.append(
            ("run_end", len(run.trials), run.time_limit_s, run.elapsed_s > 0, run.path.is_dir())
        )


def test_callbacks_see_everything_in_order() -> None:
    log = Log()
    quick(callbacks=[log, object()], num_trials=1, time_limit="1h")
    assert log.calls == [
        ("run_start", "loss", "min", 1, 1, 0),
        ("start", 0),
        ("report", 0, 1),
        ("report", 0, 2),
        ("report", 0, 3),
        ("end", 0, "completed"),
        ("run_end", 1, 3600.0, True, True),
    ]


def test_the_runs_end_is_told_whatever_happens() -> None:
    log = Log()

    def broken(args, reporter) -> None:
        raise KeyError

    with pytest.raises(AllTrialsFailedError):
        tune(broken, SPACE, metric="loss", num_trials=1, callbacks=[log])
    with pytest.raises(OptionError):
        quick(scheduler=Recording({(0, 1): []}), callbacks=[log])
    assert [call[0] for call in log.calls].count("run_end") == 2
    assert ("end", 0, "stopped") in log.calls


def test_a_callback_that_raises_is_left_out_and_the_run_goes_on() -> None:
    class Broken(Log):
        def on_report(self, trial, report) -> None:
            super().on_report(trial, report)
            raise OSError("no display")

    broken = Broken()
    with pytest.warns(RuntimeWarning, match=r"Broken.on_report failed.*no display"):
        result = quick(callbacks=[broken])
    assert len(result.trials) == 5
    assert len([c for c in broken.calls if c[0] == "report"]) == 1


# ---------------------------------------------------------------------- time


def test_time_limit_cuts_a_trial_that_sleeps_for_ever() -> None:
    def sleeps(args, reporter) -> None:
        reporter(loss=args.x)
        time.sleep(600)

    started = time.monotonic()
    result = tune(sleeps, SPACE, metric="loss", time_limit=0.5)
    assert 0.45 < time.monotonic() - started < 1.5
    assert result.stopped_by == "time_limit"
    assert [t.state for t in result.trials] == [TrialState.STOPPED]
    assert result.best_value == result.trials[0].config["x"]


def test_time_limit_before_the_first_report_gives_a_result_without_best() -> None:
    result = tune(lambda args, reporter: time.sleep(600), SPACE, metric="loss", time_limit=0.2)
    assert result.best_trial is None
    with pytest.raises(RuntimeError, match=r"none of 1 trials reported 'loss'.*time_limit"):
        _ = result.best_config
    assert "none reported it" in repr(result)


def test_time_limit_with_workers_kills_what_is_deaf() -> None:
    def deaf(args, reporter) -> None:
        import signal

        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        reporter(loss=args.x)
        time.sleep(600)

    with JoblibExecutor(2) as executor:
        tune(train, SPACE, metric="loss", num_trials=4, executor=executor)  # starts the workers
        started = time.monotonic()
        result = tune(deaf, SPACE, metric="loss", time_limit=1.0, executor=executor)
        assert time.monotonic() - started < 2.5
    assert [t.state for t in result.trials] == [TrialState.STOPPED] * 2
    assert all(t.best is not None for t in result.trials)


def test_time_limit_while_workers_start() -> None:
    started = time.monotonic()
    result = tune(train, SPACE, metric="loss", time_limit=0.05, num_workers=2)
    assert time.monotonic() - started < 2.0
    assert result.stopped_by == "time_limit"


def test_time_left_is_told_and_threads_outside_main_keep_the_limit() -> None:
    def asks(args, reporter) -> None:
        reporter(loss=reporter.time_left_s)
        while True:
            pass

    results = []
    thread = threading.Thread(target=lambda: results.append(tune(asks, SPACE, metric="loss", time_limit=0.5)))
    started = time.monotonic()
    thread.start()
    thread.join(10)
    assert time.monotonic() - started < 2.5
    assert 0 < results[0].best_value <= 0.5


# ---------------------------------------------------------------------- resume


def test_resume_of_a_finished_run_adds_what_is_new(tmp_path: Path) -> None:
    first = quick(path=tmp_path / "run", num_trials=3)
    again = quick(path=tmp_path / "run", num_trials=3, resume=True)
    assert configs(again) == configs(first)
    assert [t.reports for t in again.trials] == [t.reports for t in first.trials]
    more = quick(path=tmp_path / "run", num_trials=6, resume=True)
    assert configs(more) == configs(quick(num_trials=6))
    assert more.trials[5].started_s >= more.trials[2].ended_s
    assert more.seconds >= more.trials[5].ended_s


def test_resume_starts_a_new_run_where_there_is_none(tmp_path: Path) -> None:
    assert len(quick(path=tmp_path / "run", resume=True).trials) == 5


def test_resume_goes_on_with_what_the_deadline_cut(tmp_path: Path) -> None:
    path = tmp_path / "run"

    def slow(args, reporter) -> None:
        total = reporter.load() or 0
        for epoch in reporter.epochs(3):
            if epoch == 3 and reporter.attempt == 1:
                time.sleep(600)
            total += epoch
            reporter.save(total)
            reporter(loss=float(total))

    cut = tune(slow, SPACE, metric="loss", num_trials=1, time_limit=1.5, path=path)
    assert [t.state for t in cut.trials] == [TrialState.STOPPED]
    result = tune(slow, SPACE, metric="loss", num_trials=1, path=path, resume=True)
    assert [t.state for t in result.trials] == [TrialState.COMPLETED]
    assert [(r.resource, r.value) for r in result.trials[0].reports] == [(1, 1.0), (2, 3.0), (3, 6.0)]
    assert result.trials[0].config == cut.trials[0].config


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"metric": "tenth"}, "metric"),
        ({"mode": "max"}, "mode"),
        ({"seed": 1}, "seed"),
        ({"searcher": "grid"}, "searcher"),
        ({"scheduler": "asha", "max_resource": 3}, "scheduler"),
    ],
)
def test_resume_refuses_another_runs_journal(tmp_path: Path, options, named) -> None:
    quick(path=tmp_path / "run")
    with pytest.raises(JournalError, match=rf"other settings.*{named}"):
        quick(path=tmp_path / "run", resume=True, **options)
    with pytest.raises(JournalError, match="space"):
        tune(train, {"x": Real(0, 2)}, metric="loss", num_trials=5, path=tmp_path / "run", resume=True)


def test_resume_warns_when_the_searcher_proposes_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "run"
    quick(path=path, searcher=Scripted([0.1, 0.2]), num_trials=2)
    with pytest.warns(RuntimeWarning, match="searcher that draws from a generator of its own"):
        result = quick(path=path, searcher=Scripted([0.9, 0.8, 0.7]), num_trials=3, resume=True)
    assert [c["x"] for c in configs(result)] == [0.1, 0.2, 0.7]


def test_resume_at_every_line_of_the_journal_gives_the_undisturbed_run(tmp_path: Path) -> None:
    options = {"num_trials": 4, "scheduler": "asha", "max_resource": 3, "searcher": "random"}
    full = quick(path=tmp_path / "full", **options)
    lines = (tmp_path / "full/journal.jsonl").read_bytes().splitlines(keepends=True)
    for count in range(1, len(lines) + 1):
        path = tmp_path / f"cut{count}"
        path.mkdir()
        (path / "journal.jsonl").write_bytes(b"".join(lines[:count]) + b'{"torn')
        result = quick(path=path, resume=True, **options)
        assert configs(result) == configs(full)
        assert [t.state for t in result.trials] == [t.state for t in full.trials]
        assert [[r.value for r in t.reports] for t in result.trials] == [
            [r.value for r in t.reports] for t in full.trials
        ]


def test_resume_of_paused_trials_replays_the_scheduler(tmp_path: Path) -> None:
    def run(path: Path):
        options = {"metric": "loss", "scheduler": PauseThenResume(), "num_trials": 9, "resume": True}
        return tune(count_and_save, SPACE, path=path, **options)

    full = run(tmp_path / "full")
    lines = (tmp_path / "full/journal.jsonl").read_bytes().splitlines(keepends=True)
    for count in range(2, len(lines) + 1):
        path = tmp_path / f"cut{count}"
        path.mkdir()
        (path / "journal.jsonl").write_bytes(b"".join(lines[:count]))
        result = run(path)
        assert [t.state for t in result.trials] == [t.state for t in full.trials]
        assert [[r.resource for r in t.reports] for t in result.trials] == [[1, 2, 3], [1]]


def test_import_of_tune_is_light() -> None:
    heavy = ("torch", "pandas", "skopt", "sklearn", "matplotlib", "joblib")
    code = f"import sys, autodl.tuner; print(*(m for m in {heavy} if m in sys.modules))"
    root = Path(__file__).parents[1]
    out = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""


def test_bind_gets_space_and_seed() -> None:
    bound = []

    class Bound(RandomSearcher):
        def bind(self, space, *, seed) -> None:
            bound.append((space.labels, seed))
            super().bind(space, seed=seed)

    quick(searcher=Bound(), seed=3)
    assert bound == [(("x", "kind"), 3)]


def test_no_trial_is_started_when_too_little_time_is_left():
    started = []

    def train(args, reporter):
        started.append(reporter.time_left_s)
        time.sleep(0.05)
        reporter(loss=args.x)

    space = SearchSpace({"x": Real(0.0, 1.0)})
    tuner = Tuner(
        lambda config, reporter: train(Args(space, config), reporter),
        space,
        searcher=RandomSearcher(),
        scheduler=FIFOScheduler(),
        executor=SerialExecutor(),
        options=RunOptions(Objective("loss", "min"), time_limit_s=1.0, least_trial_s=0.6),
    )
    result = tuner.run()
    assert result.stopped_by == "time_limit"
    assert min(started) >= 0.6
    assert result.seconds < 0.8
