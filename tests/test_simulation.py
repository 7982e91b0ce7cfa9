from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

import autodl as ad
from autodl.errors import AllTrialsFailedError
from autodl.executors.simulated_objectives import CurveObjective, FunctionObjective, TableObjective
from autodl.journal import read_journal
from autodl.schedulers.asha import ASHAScheduler
from autodl.schedulers.registry import SCHEDULERS
from autodl.simulation import simulate
from autodl.trial import TrialState

SPACE = {"x": ad.Real(0, 1), "y": ad.Real(0, 1)}


def loss(config, epoch: int) -> float:
    """Best at x = 0.3; falls with the epochs."""
    return (config["x"] - 0.3) ** 2 + 0.1 / epoch


def minutes(config, epoch: int) -> float:
    """Seconds of an epoch: from one minute to two."""
    return 60 + 60 * config["y"]


def search(num_trials: int | None = 30, epochs: int = 9, **options):
    """A search with random configs, ASHA if not said otherwise."""
    objective = FunctionObjective(loss, max_resource=epochs, seconds=options.pop("seconds", minutes))
    options = {"scheduler": "asha", "searcher": "random", "num_workers": 4, **options}
    return simulate(objective, SPACE, metric="loss", num_trials=num_trials, **options)


def record(result) -> list[tuple]:
    """All that a run decided, and when."""
    return [
        (
            t.config,
            t.state,
            t.attempt,
            t.started_s,
            t.ended_s,
            t.worker,
            [(r.resource, r.value) for r in t.reports],
        )
        for t in result.trials
    ]


def test_finds_the_optimum_in_simulated_time() -> None:
    result = search(100)
    assert abs(result.best_config["x"] - 0.3) < 0.05
    assert result.stopped_by == "num_trials"
    assert len(result.trials) == 100
    longest = max(t.ended_s for t in result.trials)
    assert result.seconds == pytest.approx(longest, abs=1e-3)
    assert list(result.leaderboard()["seconds"]) == pytest.approx(
        [t.ended_s - t.started_s for t in sorted(result.trials, key=lambda t: t.best.value)], abs=0.11
    )


def test_a_plain_function_has_epochs_of_a_second() -> None:
    result = simulate(
        loss, SPACE, metric="loss", searcher="random", num_trials=8, num_workers=2, max_resource=3
    )
    assert {len(t.reports) for t in result.trials} == {3}
    assert result.seconds == pytest.approx(12.0)


def test_time_limit_is_in_simulated_seconds() -> None:
    started = time.process_time()
    result = search(None, time_limit="8h", scheduler="fifo", epochs=100)
    assert time.process_time() - started < 10.0
    assert result.seconds == pytest.approx(8 * 3600)
    assert result.stopped_by == "time_limit"
    for trial in result.trials:
        assert len(trial.reports) == 100 or trial.state is TrialState.STOPPED
        assert trial.ended_s <= 8 * 3600
    events = read_journal(result.path / "journal.jsonl")
    assert max(event.get("s", 0) for event in events) == pytest.approx(8 * 3600)
    assert sum(event["event"] == "cut" for event in events) == 4  # one a worker


def test_same_seed_same_run_whatever_goes_wrong() -> None:
    options = {"stragglers": 0.5, "failure_rate": 0.1, "loss_rate": 0.02, "start_s": 5.0, "resume_s": 2.0}
    first, second, other = (search(200, num_workers=20, seed=seed, **options) for seed in (1, 1, 2))
    assert record(first) == record(second) != record(other)
    states = {trial.state for trial in first.trials}
    assert states == {TrialState.COMPLETED, TrialState.STOPPED, TrialState.FAILED}
    assert any(trial.attempt > 1 for trial in first.trials)
    assert [t.trial_id for t in first.trials] == list(range(200))
    for trial in first.trials:  # none lost, none counted twice
        assert [r.resource for r in trial.reports] == list(range(1, len(trial.reports) + 1))


def test_workers_are_never_idle_nor_doubly_used() -> None:
    result = search(200, num_workers=8, stragglers=0.3)
    spans = sorted((t.started_s, t.ended_s) for t in result.trials)
    last_start = spans[-1][0]
    for moment in [start for start, _ in spans if start < last_start]:
        running = sum(start <= moment < end for start, end in spans)
        assert running <= 8
        if moment > 0:
            assert running == 8  # a rung decision waits for nobody
    by_worker: dict[str, list[tuple[float, float]]] = {}
    for trial in result.trials:
        by_worker.setdefault(trial.worker, []).append((trial.started_s, trial.ended_s))
    assert len(by_worker) == 8
    for used in by_worker.values():
        used.sort()
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(used))


def test_asha_keeps_its_shares_on_a_thousand_workers() -> None:
    started = time.process_time()
    result = search(3000, num_workers=1000, epochs=27, stragglers=0.5)
    assert time.process_time() - started < 15.0
    at = {level: sum(len(t.reports) >= level for t in result.trials) for level in (1, 2, 4, 10)}
    assert at[1] == 3000
    for before, after in ((1, 2), (2, 4), (4, 10)):
        assert 0.28 * at[before] <= at[after] <= 0.5 * at[before]  # decided on arrival: 1/3, more or less
    assert {t.worker for t in result.trials} == {f"sim-{n}" for n in range(1000)}


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
@pytest.mark.parametrize("num_workers", [1, 50])
def test_every_scheduler_comes_to_its_end_whatever_goes_wrong(name: str, num_workers: int) -> None:
    options = {"stragglers": 0.5, "loss_rate": 0.01, "failure_rate": 0.05}
    result = search(120, scheduler=name, num_workers=num_workers, **options)
    assert len(result.trials) == 120
    assert result.stopped_by == "num_trials"
    assert all(trial.state.ended for trial in result.trials)
    assert result.best_trial.resource == 9
    assert abs(result.best_config["x"] - 0.3) < 0.1


def test_promotion_needs_no_more_epochs_than_its_shares_and_finds_the_best() -> None:
    scheduler = ASHAScheduler(27, type="promotion")
    result = search(900, scheduler=scheduler, num_workers=30, epochs=27, stragglers=0.3)
    counts = [sum(trial.resource >= level for trial in result.trials) for level in (1, 3, 9, 27)]
    assert counts[0] == 900
    for before, after in itertools.pairwise(counts):
        # Early promotions that hindsight would not make: of the order of sqrt(n), says the paper.
        assert 0.25 * before <= after <= before / 3 + 2 * before**0.5
    assert all(trial.attempt == 1 + sum(trial.resource > r for r in (1, 3, 9)) for trial in result.trials)
    assert abs(result.best_config["x"] - 0.3) < 0.02


def test_more_workers_reach_the_same_sooner() -> None:
    alone, many = (search(64, num_workers=n, scheduler="fifo", seconds=60.0).seconds for n in (1, 16))
    assert alone == pytest.approx(64 * 9 * 60)
    assert alone / many == pytest.approx(16)


def test_resume_goes_on_in_simulated_time(tmp_path: Path) -> None:
    path = tmp_path / "run"
    whole = search(40, epochs=27)
    first = search(40, epochs=27, path=path, time_limit=1000)
    assert first.seconds == pytest.approx(1000)
    second = search(40, epochs=27, path=path, resume=True)
    assert second.stopped_by == "num_trials"
    assert len(second.trials) == 40
    assert [t.config for t in second.trials] == [t.config for t in whole.trials]
    assert second.seconds > 1000
    for trial in second.trials:
        assert [r.resource for r in trial.reports] == list(range(1, len(trial.reports) + 1))
    again = search(40, epochs=27, path=path, resume=True)
    assert [len(t.reports) for t in again.trials] == [len(t.reports) for t in second.trials]


def test_a_killed_driver_resumes_where_the_journal_ends(tmp_path: Path) -> None:
    path = tmp_path / "run"
    whole = search(30, path=path, num_workers=1)
    journal = path / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    cut = next(i for i, e in enumerate(read_journal(journal)) if e["event"] == "report" and e["trial"] == 15)
    journal.write_bytes(b"".join(lines[: cut + 1]))
    resumed = search(30, path=path, num_workers=1, resume=True)
    assert [t.config for t in resumed.trials] == [t.config for t in whole.trials]
    assert [len(t.reports) for t in resumed.trials] == [len(t.reports) for t in whole.trials]
    assert resumed.seconds == pytest.approx(whole.seconds, abs=0.01)


def test_table_is_searched_to_its_end() -> None:
    xs = [0.1, 0.2, 0.3]
    table = TableObjective(
        {"x": xs * 2, "k": [1] * 3 + [2] * 3, "error": [6.0, 5.0, 4.0, 3.0, 1.0, 2.0], "s": [10.0] * 6},
        labels=["x", "k"],
        metrics=["error"],
        seconds="s",
    )
    space = {label: ad.Categorical(*table.values(label)) for label in table.labels}
    result = simulate(table, space, metric="error", searcher="random", num_trials=50, num_workers=2)
    assert len(result.trials) == 6
    assert result.best_config == {"x": 0.2, "k": 2}
    assert result.stopped_by == "exhausted"
    assert result.seconds == pytest.approx(30.0)


def test_curves_and_any_scheduler_object() -> None:
    objective = CurveObjective(lambda config: ([config["x"]] * 9, 2.0), max_resource=9, metric="accuracy")
    result = simulate(
        objective, SPACE, metric="accuracy", scheduler=ASHAScheduler(9), searcher="random", num_trials=40
    )
    assert result.mode == "max"
    assert result.best_config["x"] > 0.8


def test_an_error_of_the_objective_fails_its_trials_only() -> None:
    def picky(config, epoch: int) -> float:
        if config["x"] < 0.5:
            raise ValueError("too small")
        return config["x"]

    result = simulate(picky, SPACE, metric="loss", searcher="random", num_trials=40)
    failed = [t for t in result.trials if t.state is TrialState.FAILED]
    assert {t.config["x"] < 0.5 for t in failed} == {True}
    assert 10 <= len(failed) <= 30
    assert "too small" in failed[0].error


def test_three_lost_workers_fail_a_trial() -> None:
    with pytest.raises(AllTrialsFailedError, match="died under the trial 3 times"):
        search(10, loss_rate=1.0)
