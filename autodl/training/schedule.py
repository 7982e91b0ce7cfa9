"""The learning rate's course, and how it fits into the time that is left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

# The first steps load kernels and allocate; they say nothing about the speed of the rest.
SLOW_STEPS = 3
# How much longer than measured an evaluation may take before the deadline is missed.
EVAL_MARGIN = 1.25
EVAL_SLACK_S = 0.05
# A forward pass costs about a third of a training step; half is on the safe side.
EVAL_SHARE = 0.5


def cosine_with_warmup(progress: float, warmup_fraction: float) -> float:
    """The learning rate's factor at ``progress`` (0..1) of a training.

    Rises linearly to 1 over ``warmup_fraction``, then falls as half a cosine to 0.

    Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017,
    equation 5 with one period; warm-up as in Goyal et al., Accurate, Large Minibatch SGD, 2017.
    """
    if progress < warmup_fraction:
        return progress / warmup_fraction
    rest = (progress - warmup_fraction) / max(1e-12, 1 - warmup_fraction)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, rest)))


class Annealer:
    """Counts steps and turns them into a factor that reaches 0 when the training ends.

    When fewer steps are feasible than planned, the rest of the course is walked in larger strides,
    so that a training cut by its deadline still ends with a small learning rate.

    Args:
        planned_steps: steps of the whole training.
        warmup_fraction: see `cosine_with_warmup`.
    """

    def __init__(self, planned_steps: int, warmup_fraction: float) -> None:
        self.planned_steps = max(1, planned_steps)
        self.warmup_fraction = warmup_fraction
        self.step = 0
        self.progress = 0.0

    def next_factor(self, feasible_steps: float | None = None) -> float:
        """The factor for the next step, whose place on the course is its middle.

        Args:
            feasible_steps: steps that can still be made in time; None when time does not bind.
        """
        remaining: float = max(1, self.planned_steps - self.step)
        if feasible_steps is not None and feasible_steps < remaining:
            remaining = max(1.0, feasible_steps)
        stride = (1.0 - self.progress) / remaining
        middle = self.progress + 0.5 * stride
        self.step += 1
        self.progress = min(1.0, self.progress + stride)
        return cosine_with_warmup(middle, self.warmup_fraction)

    def state_dict(self) -> dict[str, float]:
        """What `load_state_dict` needs to go on identically."""
        return {"step": self.step, "progress": self.progress}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on where `state_dict` was taken."""
        self.step, self.progress = int(state["step"]), float(state["progress"])


class TimeBudget:
    """Learns what a step and the end of an epoch cost, and says what still fits.

    Args:
        deadline: on ``clock``'s scale, seconds; None for no limit.
        steps_per_epoch: steps between two evaluations.
        eval_images_per_step: images of an evaluation over images of a step; gives the cost of
            the first evaluation before one was seen.
        clock: ``time.monotonic`` unless a test says otherwise.
    """

    def __init__(
        self,
        deadline: float | None,
        steps_per_epoch: int,
        eval_images_per_step: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.deadline, self.clock = deadline, clock
        self._steps_per_epoch = max(1, steps_per_epoch)
        self._eval_images_per_step = eval_images_per_step
        self._steps, self._timed_s, self._timed_steps = 0, 0.0, 0
        self._longest_s = 0.0
        self._eval_s: float | None = None
        self._overhead_s = 0.0

    def step_done(self, seconds: float) -> None:
        """Take note of one training step."""
        self._steps += 1
        if self._steps > SLOW_STEPS or self._timed_steps == 0:
            if self._steps == SLOW_STEPS + 1:
                self._timed_s, self._timed_steps = 0.0, 0
            self._timed_s += seconds
            self._timed_steps += 1
        self._longest_s = seconds if self._steps == SLOW_STEPS + 1 else max(self._longest_s, seconds)

    def eval_done(self, seconds: float) -> None:
        """Take note of one evaluation."""
        self._eval_s = max(seconds, self._eval_s or 0.0)

    def overhead_done(self, seconds: float) -> None:
        """Take note of what follows an evaluation: a checkpoint, a report."""
        self._overhead_s = max(seconds, self._overhead_s)

    @property
    def step_s(self) -> float:
        """Mean cost of a step, seconds; 0 before the first."""
        return self._timed_s / self._timed_steps if self._timed_steps else 0.0

    @property
    def eval_s(self) -> float:
        """Expected cost of the next evaluation and what follows it, seconds."""
        if self._eval_s is not None:
            return self._eval_s + self._overhead_s
        return EVAL_SHARE * self.step_s * self._eval_images_per_step

    @property
    def left_s(self) -> float:
        """Seconds until the deadline (infinite without one)."""
        return math.inf if self.deadline is None else self.deadline - self.clock()

    @property
    def exhausted(self) -> bool:
        """Whether another step would leave too little time for the evaluation."""
        if self.deadline is None:
            return False
        return self.left_s <= self._longest_s + EVAL_MARGIN * self.eval_s + EVAL_SLACK_S

    def feasible_steps(self) -> float | None:
        """Steps that still fit, the evaluations between them paid for; None when unknown."""
        if self.deadline is None or self._steps <= SLOW_STEPS:
            return None
        usable_s = self.left_s - EVAL_MARGIN * self.eval_s - EVAL_SLACK_S
        return max(0.0, usable_s / (self.step_s + self.eval_s / self._steps_per_epoch))
