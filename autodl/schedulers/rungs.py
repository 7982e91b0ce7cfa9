"""Rung arithmetic of successive halving: pure functions, symbols as in the paper.

Source: L. Li, K. Jamieson, A. Rostamizadeh, E. Gonina, J. Ben-tzur, M. Hardt, B. Recht,
A. Talwalkar, "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020), section 3;
brackets from L. Li et al., "Hyperband" (JMLR 2018), algorithm 1. r is `grace_period`, R is
`max_resource`, eta is `reduction_factor`, s is `bracket` (the early-stopping rate).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from autodl.checks import check_whole
from autodl.errors import OptionError

_GOLDEN = (math.sqrt(5) - 1) / 2


def check_rungs(max_resource: int, grace_period: int, reduction_factor: float, brackets: int = 1) -> None:
    """Refuse numbers that give no sensible rungs.

    Raises:
        OptionError: names the argument, its value and what is allowed.
    """
    whole = {"max_resource": max_resource, "grace_period": grace_period, "brackets": brackets}
    for name, value in whole.items():
        check_whole(name, value)
    if grace_period > max_resource:
        raise OptionError(f"grace_period ({grace_period}) must not be above max_resource ({max_resource})")
    is_number = isinstance(reduction_factor, int | float) and not isinstance(reduction_factor, bool)
    if not is_number or not math.isfinite(reduction_factor) or reduction_factor <= 1:
        raise OptionError(f"reduction_factor must be a finite number > 1, got {reduction_factor!r}")
    most = len(rung_levels(max_resource, grace_period, reduction_factor)) + 1
    if brackets > most:
        raise OptionError(
            f"brackets must be at most {most} for max_resource={max_resource}, grace_period={grace_period}, "
            f"reduction_factor={reduction_factor}, got {brackets}"
        )


def rung_levels(
    max_resource: int, grace_period: int, reduction_factor: float, bracket: int = 0
) -> tuple[int, ...]:
    """The resources at which a bracket decides: ``r * eta**(s + k)`` below R, strictly rising.

    Rounded to whole resources, each at least one above the one before (a factor of 1.2 gives
    1, 2, 3, 4, ... at first). R itself is no rung: nothing is left to decide there. Bracket s
    has the levels of bracket 0 without the first s.

    Example:
        >>> rung_levels(27, 1, 3)
        (1, 3, 9)
        >>> rung_levels(27, 1, 3, bracket=2)
        (9,)
        >>> rung_levels(20, 2, 1.5)
        (2, 3, 5, 7, 10, 15)
    """
    levels: list[int] = []
    exact, level = float(grace_period), grace_period
    while level < max_resource:
        levels.append(level)
        exact *= reduction_factor
        level = max(level + 1, math.floor(exact + 0.5)) if exact < max_resource else max_resource
    return tuple(levels[bracket:])


def rung_reached(levels: Sequence[int], resource: int) -> int | None:
    """Index of the highest level at or below `resource`; None below the first.

    Example:
        >>> rung_reached((1, 3, 9), 5)
        1
    """
    index = bisect_right(levels, resource) - 1
    return index if index >= 0 else None


def survivors(count: int, reduction_factor: float) -> int:
    """How many of `count` trials at a rung go on: the top 1/eta, at least one.

    ``1 + floor((n - 1) / eta)``: the number at or above the (1 - 1/eta)-quantile with linear
    interpolation; ``ceil(n / eta)`` for a whole eta. The paper's ``floor(n / eta)`` would end
    the first trials of every rung, which the promotion type merely keeps waiting.

    Example:
        >>> tuple(survivors(n, 3) for n in (1, 3, 4, 7))
        (1, 1, 2, 3)
    """
    return 1 + math.floor((count - 1) / reduction_factor)


def places(count: int, reduction_factor: float) -> int:
    """How many of `count` trials at a rung may be promoted: ``floor(count / eta)``, as in the paper.

    Example:
        >>> tuple(places(n, 3) for n in (2, 3, 5, 6))
        (0, 1, 1, 2)
    """
    return math.floor(count / reduction_factor + 1e-9)  # 11 / 1.1 comes out below 10


def goes_on(better: int, equals_gone_on: int, count: int, reduction_factor: float) -> bool:
    """Whether a trial that just reached a rung goes on.

    Args:
        better: trials recorded there before it with a higher score.
        equals_gone_on: trials with the same score that were let on. They take up places, so on a
            plateau (all still at chance level, all perfect) 1/eta of the trials go on: neither
            all of them, which would save nothing, nor only the first.
        count: trials recorded there, this one included.
        reduction_factor: eta > 1.
    """
    return better + equals_gone_on < survivors(count, reduction_factor)


def bracket_of(trial_id: int, reduction_factor: float, rung_counts: Sequence[int]) -> int:
    """The bracket of a trial, fixed by its number, so that a replay or a requeue finds the same.

    Hyperband's share: a bracket whose trials cost about R / eta**rungs each gets trials in
    proportion to ``eta**rungs / (rungs + 1)``, so that each spends the same. Numbers are spread
    by the golden-ratio sequence: any run of consecutive trials comes close to the shares.

    Args:
        trial_id: the trial's number, >= 0.
        reduction_factor: eta > 1.
        rung_counts: number of rungs of each bracket.
    """
    shares = [reduction_factor**rungs / (rungs + 1) for rungs in rung_counts]
    point = math.fmod((trial_id + 1) * _GOLDEN, 1.0) * sum(shares)
    for bracket, share in enumerate(shares):
        point -= share
        if point < 0:
            return bracket
    return len(shares) - 1
