"""Policies from the op bank: greedy by the closed form of the any-of-5 reward, no trials.

Sub-policies of one op are added one by one, each time the one that raises the expected reward most;
then pairs take the place of single ops where they raise it further. What keeps chance out of it:

* an op that is not in the policy yet comes in only where it raises the reward by three standard errors
  more than the best sub-policy without it, and so does a pair;
* the reward saturates: candidates within half an image of the best are equal to it, and the one
  under which theta is surest of the right class in its best draw is taken (a form of "least loss
  among the draws" that has a closed form, too);
* ops that cost most accuracy and rescue no image are vetoed;
* an op and its double (Solarize of everything is Invert) stand in the bank once;
* where no candidate beats the images as they are, nothing is to be found: the policy is then every op
  that does no harm, once, as strong as it does none.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from autodl.augment.bank import (
    OpBank,
    Single,
    add_pairs,
    build_bank,
    count_single_forwards,
    search_ops,
)
from autodl.augment.fold_jobs import FoldInput
from autodl.augment.rewards import DRAWS, expected_any_of
from autodl.augment.search_result import FoldResult, OpScore, Steps
from autodl.augment.theta import Theta
from autodl.checks import check_whole
from autodl.rng import torch_generator

PROBABILITIES = (0.25, 0.5, 0.75, 1.0)
_PAIRED_OPS = 10
MOST_FORWARDS = 166
"""Forward passes of each image of D_A: a sixth of the 1,000 of 200 trials of 5 draws."""
_MOST_VETOED = 3
_SIGNIFICANT = 2.0  # standard errors
_CHOSEN = 3.0  # likewise, where the best of hundreds of candidates is looked at
_TIE = 0.5  # images


@dataclass(frozen=True, slots=True)
class BankMethod:
    """See `autodl.augment.bank_search`.

    Args:
        num_sub_policies: chosen on each fold.
        use_pairs: whether sub-policies of two ops are looked at.
    """

    num_sub_policies: int = 10
    use_pairs: bool = True
    name: str = field(default="bank", init=False)

    def __post_init__(self) -> None:
        check_whole("num_sub_policies", self.num_sub_policies)

    def search(self, fold: FoldInput, theta: Theta) -> FoldResult:
        """Bank, veto, pairs, greedy choice."""
        rows = torch.from_numpy(fold.split.search_rows)
        images = fold.data.images[rows].to(theta.device)
        labels = torch.from_numpy(fold.data.labels)[rows]
        generator = torch_generator(fold.seed, "bank")
        ops = search_ops(is_grey=fold.data.is_grey)
        bank = build_bank(images, labels, theta, ops=ops, generator=generator, is_late=lambda: fold.is_late)
        scores = score_ops(bank)
        allowed = [op for op in scores if not scores[op].vetoed]
        if self.use_pairs and bank.is_complete:
            pairs = best_pairs(bank, allowed, MOST_FORWARDS - count_single_forwards(ops))
            add_pairs(bank, pairs, images, labels, theta, generator=generator, is_late=lambda: fold.is_late)
        chosen, reward = choose(bank, allowed, self.num_sub_policies)
        counts = {steps: float(chosen.count(steps)) for steps in chosen}
        return FoldResult(
            index=fold.index,
            split=fold.split,
            accuracy=float(bank.plain.right.mean()),
            sub_policies=tuple(counts),
            weights=tuple(counts.values()),
            reward=reward,
            forwards=theta.num_forwards,
            seconds=time.monotonic() - fold.started,
            train_seconds=fold.train_seconds,
            is_complete=bank.is_complete,
            ops=scores,
        )


def score_ops(bank: OpBank) -> dict[str, OpScore]:
    """Every op's effect on theta, and whether it is vetoed.

    Vetoed are the (at most three) ops that lower the mean accuracy most, as far as they do so by more
    than two standard errors and rescue nothing: where part of the data needs an op, it lowers the
    accuracy of the rest, but raises the any-of-5 reward.
    """
    scores, harmful = {}, []
    plain = bank.plain.right
    for op in dict.fromkeys(name for name, _ in bank.singles):
        right = torch.stack([o.right for (name, _), o in bank.singles.items() if name == op])
        drop = plain - right.mean(0)
        gains = torch.stack([_any_of_each(p * right + (1 - p) * plain) for p in PROBABILITIES])
        gains = (gains - _any_of_each(plain)).flatten(0, 1)
        best = gains[int(gains.mean(1).argmax())]
        scores[op] = OpScore(
            accuracy=float(right.mean()),
            best_accuracy=float(right.mean(1).max()),
            drop=float(drop.mean()),
            gain=float(gains.mean(1).max()),
        )
        if _is_significant(drop) and not _is_significant(best):
            harmful.append(op)
    worst = sorted(harmful, key=lambda op: -scores[op].drop)[:_MOST_VETOED]
    if len(worst) == len(scores):  # a bank cut short may hold nothing else
        worst = []
    return {
        op: OpScore(s.accuracy, s.best_accuracy, s.drop, s.gain, vetoed=op in worst)
        for op, s in scores.items()
    }


def best_pairs(bank: OpBank, allowed: Sequence[str], budget: int) -> list[tuple[Single, Single]]:
    """Pairs of the ten best ops, each at its best strength; the better op goes first."""
    best: dict[str, tuple[float, float, float]] = {}
    for (op, strength), outcome in bank.singles.items():
        if op in allowed:
            half = outcome.mixed(bank.plain, 0.5)
            value = (float(expected_any_of(half.right)), float(expected_any_of(half.sure)), strength)
            best[op] = max(best.get(op, value), value)
    ranked = sorted(best, key=lambda op: best[op][:2], reverse=True)[:_PAIRED_OPS]
    singles = [(op, best[op][2]) for op in ranked]
    pairs = [(a, b) for i, a in enumerate(singles) for b in singles[i + 1 :]]
    return pairs[: max(0, budget)]


def choose(bank: OpBank, allowed: Sequence[str], rounds: int) -> tuple[list[Steps], float]:
    """Greedy selection.

    Args:
        bank: outcomes.
        allowed: ops that may be used.
        rounds: how many sub-policies to choose; one can be chosen again.

    Returns:
        The sub-policies, and the expected any-of-5 reward of drawing one of them at random.
    """
    singles = [((op, p, s),) for op, s in bank.singles if op in allowed for p in PROBABILITIES]
    if not singles:
        return [()], float(expected_any_of(bank.plain.right))
    chosen = _greedy(bank, singles, rounds)
    pairs: list[Steps] = [
        ((a, p, s), (b, q, t)) for (a, s), (b, t) in bank.pairs for p in PROBABILITIES for q in PROBABILITIES
    ]
    chosen = _with_pairs(bank, chosen, pairs)
    gain = _any_of_each(_mean_right(bank, chosen)) - _any_of_each(bank.plain.right)
    if not _is_significant(gain, _CHOSEN):
        chosen = harmless(bank, allowed, rounds)
    return chosen, float(expected_any_of(_mean_right(bank, chosen)))


def _greedy(bank: OpBank, candidates: Sequence[Steps], rounds: int) -> list[Steps]:
    """Sub-policies of one op, the best to add each time."""
    outcomes = [bank.chance(steps) for steps in candidates]
    right = torch.stack([outcome.right for outcome in outcomes])
    sure = torch.stack([outcome.sure for outcome in outcomes])
    used: set[str] = set()
    chosen: list[Steps] = []
    sum_right, sum_sure = torch.zeros_like(right[0]), torch.zeros_like(sure[0])
    for number in range(1, rounds + 1):
        known = torch.tensor([not used or steps[0][0] in used for steps in candidates])
        index = _best((sum_right + right) / number, (sum_sure + sure) / number, known)
        chosen.append(candidates[index])
        used.add(candidates[index][0][0])
        sum_right, sum_sure = sum_right + right[index], sum_sure + sure[index]
    return chosen


def _with_pairs(bank: OpBank, chosen: list[Steps], pairs: Sequence[Steps]) -> list[Steps]:
    """Pairs in place of single ops, one by one, as long as the reward rises by three standard errors."""
    if not pairs:
        return chosen
    offered = torch.stack([bank.chance(steps).right for steps in pairs])
    chosen = list(chosen)
    for _ in range(len(chosen)):
        now = _mean_right(bank, chosen)
        swaps = []
        for slot in dict.fromkeys(chosen):
            with_each = now + (offered - bank.chance(slot).right) / len(chosen)
            reward = expected_any_of(with_each)
            index = int(reward.argmax())
            swaps.append((float(reward[index]), chosen.index(slot), index, with_each[index]))
        _, place, index, after = max(swaps, key=lambda swap: swap[0])
        if not _is_significant(_any_of_each(after) - _any_of_each(now), _CHOSEN):
            break
        chosen[place] = pairs[index]
    return chosen


def harmless(bank: OpBank, allowed: Sequence[str], most: int) -> list[Steps]:
    """The ops that cost no accuracy beyond a standard error, each at its strongest; surest first."""
    strongest: dict[str, tuple[float, float]] = {}
    for (op, strength), outcome in bank.singles.items():
        drop = bank.plain.right - outcome.right
        if op in allowed and float(drop.mean()) <= _standard_error(drop):
            strongest[op] = max(strongest.get(op, (0.0, 0.0)), (strength, float(outcome.sure.mean())))
    ranked = sorted(strongest, key=lambda op: -strongest[op][1])[:most]
    return [((op, 0.5, strongest[op][0]),) for op in ranked] or [()]


def _mean_right(bank: OpBank, chosen: Sequence[Steps]) -> Tensor:
    """(n,) chance of being right under a sub-policy drawn at random."""
    right = [bank.chance(steps).right if steps else bank.plain.right for steps in chosen]
    return torch.stack(right).mean(0)


def _best(right: Tensor, sure: Tensor, known: Tensor) -> int:
    """The candidate to take.

    Args:
        right: (m, n) chances with each candidate added.
        sure: (m, n) likewise.
        known: (m,) bool, those that bring in no new op.
    """
    each = _any_of_each(right)
    reward = each.mean(1)
    usable = torch.ones_like(known)
    if not bool(known.all()):
        best, best_known = int(reward.argmax()), int(reward.masked_fill(~known, -math.inf).argmax())
        if not _is_significant(each[best] - each[best_known], _CHOSEN):
            usable = known
    reward = reward.masked_fill(~usable, -math.inf)
    tied = reward >= reward.max() - _TIE / right.shape[1]
    smooth = expected_any_of(sure).masked_fill(~tied, -math.inf)
    return int(smooth.argmax())


def _any_of_each(chance: Tensor) -> Tensor:
    """(..., n) chance that an image is right in any of the draws."""
    return 1 - (1 - chance) ** DRAWS


def _is_significant(gain: Tensor, errors: float = _SIGNIFICANT) -> bool:
    """Whether the mean of paired differences (n,) is above 0 by so many standard errors."""
    return float(gain.mean()) > errors * _standard_error(gain)


def _standard_error(values: Tensor) -> float:
    return float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.inf
