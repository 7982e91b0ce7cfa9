from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from autodl.errors import OptionError, TrialError
from autodl.executors.cutoff import TrialInterrupted
from autodl.executors.protocol import Decision
from autodl.executors.reporter import Reporter
from autodl.rng import derive_seed
from autodl.testing.executors import job, returns


class Driver:
    def __init__(self, decision: Decision = Decision.CONTINUE) -> None:
        self.reports, self.decision = [], decision

    def __call__(self, resource: int, metrics: dict[str, float]) -> Decision:
        self.reports.append((resource, metrics))
        return self.decision


def reporter(path: Path, driver: Driver | None = None, attempt: int = 1) -> Reporter:
    return Reporter(job(3, returns, path, attempt=attempt), Driver() if driver is None else driver)


def test_scalars_of_any_library_become_floats(tmp_path: Path) -> None:
    driver = Driver()
    report = reporter(tmp_path, driver)
    report(a=1, b=True, c=np.float32(0.5), d=torch.tensor(2.0), e=np.array([3]), f=torch.tensor([[4.0]]))
    assert driver.reports == [(1, {"a": 1.0, "b": 1.0, "c": 0.5, "d": 2.0, "e": 3.0, "f": 4.0})]
    assert {type(v) for v in driver.reports[0][1].values()} == {float}


@pytest.mark.parametrize("bad", ["0.9", None, [1.0], np.ones(2), torch.ones(2), {"a": 1}, 1j])
def test_other_than_numbers_are_refused_by_name(tmp_path: Path, bad) -> None:
    with pytest.raises(TrialError, match=f"metric 'acc' must be a number.*got {type(bad).__name__}"):
        reporter(tmp_path)(acc=bad)


@pytest.mark.parametrize("bad", [1.5, "1", -1])
def test_epoch_must_be_a_count(tmp_path: Path, bad) -> None:
    with pytest.raises(TrialError, match="epoch must be"):
        reporter(tmp_path)(epoch=bad, acc=1.0)
    reporter(tmp_path)(epoch=np.int64(3), acc=1.0)
    with pytest.raises(TrialError, match="at least one metric"):
        reporter(tmp_path)(epoch=1)
    with pytest.raises(OptionError, match=r"epochs\(\)"):
        reporter(tmp_path).epochs(2.0)


@pytest.mark.parametrize("decision", [Decision.STOP, Decision.PAUSE])
def test_decisions_interrupt_what_catches_exceptions(tmp_path: Path, decision: Decision) -> None:
    with pytest.raises(TrialInterrupted) as caught:
        try:
            reporter(tmp_path, Driver(decision))(acc=1.0)
        except Exception:
            pytest.fail("an interruption is no Exception")
    assert caught.value.decision is decision


def test_resource_is_the_loops_epoch_else_a_count(tmp_path: Path) -> None:
    driver = Driver()
    report = reporter(tmp_path, driver)
    for _ in report.epochs(2):
        report(acc=0.0)
        report(acc=0.5)
    report(acc=1.0)
    assert [resource for resource, _ in driver.reports] == [1, 1, 2, 2, 3]


def test_epochs_go_on_after_the_last_saved(tmp_path: Path) -> None:
    first = reporter(tmp_path)
    assert first.load() is None
    for epoch in first.epochs(5):
        first.save({"w": torch.full((2,), float(epoch)), "n": np.arange(epoch), "f": np.float64(epoch)})
        first(acc=0.5)
        if epoch == 3:
            break
    again = reporter(tmp_path, attempt=2)
    assert list(again.epochs(5)) == [4, 5]
    assert list(again.epochs(2)) == []
    state = again.load()
    assert state["w"].tolist() == [3.0, 3.0]
    assert state["n"].tolist() == [0, 1, 2]
    assert state["f"] == 3.0


@pytest.mark.parametrize("reported", [0, 1, 2])
def test_an_epoch_saved_but_not_reported_is_done_again(tmp_path: Path, reported: int) -> None:
    first = reporter(tmp_path)
    for epoch in first.epochs(5):
        first.save(("half", epoch))
        first.save(("whole", epoch))
        if epoch > reported:
            break  # the worker dies here
        first(acc=0.5)
    for _ in range(2):  # and the next one before its first save
        again = Reporter(replace(job(3, returns, tmp_path), attempt=2, done=reported), Driver())
        assert again.load() == (("whole", reported) if reported else None)
        assert next(again.epochs(5)) == reported + 1


def test_only_an_unreported_save_costs_a_second_file(tmp_path: Path) -> None:
    report = reporter(tmp_path)
    for epoch in report.epochs(3):
        report.save(epoch)
        assert len(list(report.checkpoint_dir.iterdir())) == 2
        report(acc=0.5)
        assert [p.name for p in report.checkpoint_dir.iterdir()] == ["checkpoint.pt"]


def test_count_goes_on_after_load(tmp_path: Path) -> None:
    first = reporter(tmp_path)
    first(acc=0.1)
    first(acc=0.2)
    first.save("state")
    driver = Driver()
    again = reporter(tmp_path, driver)
    assert again.load() == "state"
    again(acc=0.3)
    assert driver.reports[0][0] == 3


def test_what_could_not_be_loaded_is_refused_at_save_and_the_old_state_stays(tmp_path: Path) -> None:
    first = reporter(tmp_path)
    first.save({"ok": 1})
    with pytest.raises(TrialError, match=r"reporter.save\(\) takes tensors"):
        reporter(tmp_path).save({"path": Path("a")})
    assert reporter(tmp_path).load() == {"ok": 1}
    assert [p.name for p in first.checkpoint_dir.iterdir()] == ["checkpoint.pt"]


def test_a_later_save_wins_over_what_was_loaded(tmp_path: Path) -> None:
    report = reporter(tmp_path)
    report.save(1)
    assert report.load() == 1
    report.save(2)
    assert report.load() == 2


def test_knows_its_trial(tmp_path: Path) -> None:
    report = reporter(tmp_path, attempt=2)
    assert (report.trial_id, report.attempt, report.seed) == (3, 2, derive_seed(0, 3))
    assert report.time_left_s is None
    assert not (tmp_path / "3").exists()
    assert report.checkpoint_dir.is_dir()
    due = Reporter(replace(job(0, returns, tmp_path), deadline=time.time() + 5), Driver())
    assert 4 < due.time_left_s <= 5
    assert Reporter(replace(job(0, returns, tmp_path), deadline=1.0), Driver()).time_left_s == 0.0
