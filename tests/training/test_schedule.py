from __future__ import annotations

import pytest

from autodl.training.schedule import Annealer, TimeBudget, cosine_with_warmup


def test_cosine_with_warmup_at_its_corners():
    assert cosine_with_warmup(0.0, 0.1) == 0
    assert cosine_with_warmup(0.05, 0.1) == pytest.approx(0.5)
    assert cosine_with_warmup(0.1, 0.1) == pytest.approx(1)
    assert cosine_with_warmup(0.55, 0.1) == pytest.approx(0.5)
    assert cosine_with_warmup(1.0, 0.1) == pytest.approx(0)
    assert cosine_with_warmup(0.0, 0.0) == 1


def test_every_step_moves_the_weights_and_the_last_ends_the_course():
    annealer = Annealer(10, 0.2)
    factors = [annealer.next_factor() for _ in range(10)]
    assert all(f > 0 for f in factors)
    assert annealer.progress == pytest.approx(1)
    assert factors.index(max(factors)) in (1, 2)
    assert factors[2:] == sorted(factors[2:], reverse=True)


def test_too_little_time_is_walked_in_larger_strides():
    annealer = Annealer(1000, 0.1)
    factors = [annealer.next_factor(feasible_steps=50 - step) for step in range(50)]
    assert max(factors) > 0.95
    assert factors[-1] < 0.01


def test_time_that_does_not_bind_changes_nothing():
    free, timed = Annealer(20, 0.1), Annealer(20, 0.1)
    assert [free.next_factor() for _ in range(20)] == [timed.next_factor(1e6) for _ in range(20)]


def test_state_goes_on_identically():
    annealer, copy = Annealer(10, 0.2), Annealer(10, 0.2)
    for _ in range(4):
        annealer.next_factor()
    copy.load_state_dict(annealer.state_dict())
    assert [copy.next_factor() for _ in range(6)] == [annealer.next_factor() for _ in range(6)]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def walk(budget: TimeBudget, clock: Clock, steps: int, seconds: float) -> None:
    for _ in range(steps):
        clock.now += seconds
        budget.step_done(seconds)


def test_without_a_deadline_time_never_ends():
    budget = TimeBudget(None, 10, 1.0)
    budget.step_done(1e9)
    assert not budget.exhausted and budget.feasible_steps() is None


def test_feasible_steps_pay_for_the_evaluations():
    clock = Clock()
    budget = TimeBudget(100.0, steps_per_epoch=10, eval_images_per_step=1.0, clock=clock)
    walk(budget, clock, 10, 1.0)
    budget.eval_done(5.0)
    # 90 s left, 6.3 s kept back for the last evaluation; a step costs 1 s and a tenth of 5 s.
    assert budget.feasible_steps() == pytest.approx((90 - 6.25 - 0.05) / 1.5)


def test_the_slow_first_steps_are_not_counted():
    clock = Clock()
    budget = TimeBudget(1000.0, 10, 1.0, clock=clock)
    walk(budget, clock, 3, 20.0)
    assert budget.feasible_steps() is None  # nothing is known yet
    walk(budget, clock, 5, 1.0)
    assert budget.step_s == pytest.approx(1.0)


def test_exhausted_keeps_time_for_the_evaluation_and_the_report():
    clock = Clock()
    budget = TimeBudget(20.0, 10, 1.0, clock=clock)
    walk(budget, clock, 10, 1.0)
    budget.eval_done(4.0)
    budget.overhead_done(1.0)
    assert budget.eval_s == 5.0
    assert not budget.exhausted  # 10 s left
    walk(budget, clock, 3, 1.0)
    assert budget.exhausted  # 7 s left; a step and 1.25 evaluations need 7.25 s


def test_the_first_evaluation_is_estimated_from_the_steps():
    clock = Clock()
    budget = TimeBudget(20.0, 10, eval_images_per_step=8.0, clock=clock)
    walk(budget, clock, 10, 1.0)
    assert budget.eval_s == pytest.approx(4.0)  # 8 batches at half a step
