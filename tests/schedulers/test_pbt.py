from __future__ import annotations

import pytest

from autodl.errors import OptionError
from autodl.schedulers.pbt import PBTScheduler
from autodl.schedulers.protocol import (
    Continue,
    Pause,
    Resume,
    Start,
    Stop,
    TrialFailed,
    TrialPaused,
    TrialReported,
    TrialStarted,
    WorkerFree,
)
from autodl.spaces import Real, SearchSpace
from autodl.testing.schedulers import DriveOptions, drive
from autodl.trial import TrialState

SPACE = SearchSpace({"lr": Real(0.001, 1.0), "keep": Real(0.0, 1.0)})


def population(size: int, **options) -> PBTScheduler:
    """A population that has started; trial i has ``lr = (i + 1) / 100``."""
    scheduler = PBTScheduler(9, **{"interval": 3, "population": size, "resample": 0.0, **options})
    scheduler.bind(SPACE, seed=0)
    for trial_id in range(size):
        assert scheduler.handle(WorkerFree()) == (Start(),)
        scheduler.handle(TrialStarted(trial_id, {"lr": (trial_id + 1) / 100, "keep": 0.5}))
    return scheduler


def step(scheduler, scores: dict[int, float], resource: int = 3) -> None:
    for trial_id, score in scores.items():
        assert scheduler.handle(TrialReported(trial_id, resource, score)) == (Pause(trial_id),)
        scheduler.handle(TrialPaused(trial_id))


def resumes(scheduler, count: int) -> dict[int, Resume]:
    actions = [scheduler.handle(WorkerFree(can_start=False))[0] for _ in range(count)]
    return {action.trial_id: action for action in actions}


def test_the_worst_fifth_copies_the_best_fifth_and_perturbs():
    scheduler = population(10)
    assert scheduler.handle(WorkerFree()) == ()  # all members train
    step(scheduler, {i: float(i) for i in range(10)})
    resumed = resumes(scheduler, 10)
    assert scheduler.handle(WorkerFree()) == ()
    assert {i for i, action in resumed.items() if action.copy_from is not None} == {0, 1}
    assert all(resumed[i] == Resume(i) for i in range(2, 10))
    for i in (0, 1):
        source = resumed[i].copy_from
        assert source in (8, 9)
        lr = (source + 1) / 100
        assert any(resumed[i].config["lr"] == pytest.approx(factor * lr) for factor in (0.8, 1.2))


def test_only_named_labels_change():
    scheduler = population(5, labels=["lr"])
    step(scheduler, {i: float(i) for i in range(5)})
    (config,) = [action.config for action in resumes(scheduler, 5).values() if action.config]
    assert config["keep"] == 0.5 and config["lr"] in (0.04, 0.06)


def test_a_small_population_replaces_its_worst_once_all_have_arrived():
    scheduler = population(3)
    step(scheduler, {0: 0.1, 1: 0.5})
    assert resumes(scheduler, 1) == {0: Resume(0)}  # 2 of 3: not all there
    step(scheduler, {2: 0.05})
    resumed = resumes(scheduler, 2)
    assert resumed[1] == Resume(1)
    assert resumed[2].copy_from == 1


def test_members_furthest_behind_go_on_first():
    scheduler = population(3)
    step(scheduler, {0: 0.5})
    resumes(scheduler, 1)
    step(scheduler, {0: 0.5}, resource=6)
    step(scheduler, {1: 0.6, 2: 0.7})
    assert list(resumes(scheduler, 3)) == [1, 2, 0]


def test_no_exploit_on_a_plateau_and_none_of_ended_members():
    scheduler = population(5)
    step(scheduler, dict.fromkeys(range(5), 0.5))
    assert all(action.copy_from is None for action in resumes(scheduler, 5).values())
    scheduler = population(5)
    step(scheduler, {i: float(i) for i in range(5)})
    scheduler.handle(TrialFailed(4))  # the only one worth a copy
    assert resumes(scheduler, 4) == {i: Resume(i) for i in range(4)}


def test_pauses_at_intervals_only_and_not_at_the_end():
    scheduler = population(1)
    answers = [scheduler.handle(TrialReported(0, r, 0.5))[0] for r in range(1, 11)]
    kinds = [type(answer) for answer in answers]
    assert kinds == [Continue, Continue, Pause, Continue, Continue, Pause, Continue, Continue, Continue, Stop]


def test_fewer_trials_than_members_go_on_all_the_same():
    scheduler = PBTScheduler(9, interval=3, population=50)
    scheduler.bind(SPACE, seed=0)
    driven = drive(
        scheduler, lambda t, r: float(t), DriveOptions(num_trials=6, num_workers=2, max_resource=9)
    )
    assert driven.ids(TrialState.COMPLETED) == set(range(6))


@pytest.mark.parametrize("workers", [1, 3, 12])
def test_members_that_train_badly_are_replaced_on_any_number_of_workers(workers):
    scheduler = PBTScheduler(40, interval=4, population=12)
    scheduler.bind(SPACE, seed=1)
    driven = drive(scheduler, lambda t, r: t + r / 10, DriveOptions(12, workers, 40, seed=3))
    copies = [(a.trial_id, a.copy_from) for _, answer in driven.log for a in answer if isinstance(a, Resume)]
    copies = [(target, source) for target, source in copies if source is not None]
    assert len(copies) >= 4
    assert all(source > target for target, source in copies)
    assert driven.ids(TrialState.COMPLETED) == set(range(12))


def test_bad_arguments_are_refused():
    for options, named in [
        ({"max_resource": 0}, "max_resource"),
        ({"interval": 0}, "interval"),
        ({"population": True}, "population"),
        ({"quantile": 0.6}, "quantile"),
        ({"resample": 1.5}, "resample"),
    ]:
        with pytest.raises(OptionError, match=named):
            PBTScheduler(**{"max_resource": 9, **options})
    with pytest.raises(OptionError, match=r"labels \['rate'\] are not in the space; it has lr, keep"):
        PBTScheduler(9, labels=["rate"]).bind(SPACE, seed=0)


def test_without_a_space_it_says_what_is_missing():
    scheduler = PBTScheduler(9, interval=3, population=2)
    for trial_id in (0, 1):
        scheduler.handle(TrialStarted(trial_id, {}))
    step(scheduler, {0: 0.0, 1: 1.0})
    with pytest.raises(OptionError, match="call bind"):
        scheduler.handle(WorkerFree())
    assert repr(scheduler).startswith("PBTScheduler(max_resource=9, interval=3, population=2,")
