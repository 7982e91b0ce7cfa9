"""What a policy search gives back, and what it keeps of each fold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from autodl.augment.folds import Split
from autodl.augment.policy import Policy
from autodl.errors import OptionError

VERSION = 1
Steps = tuple[tuple[Any, ...], ...]
"""A sub-policy as plain values: (op, probability, strength) of each step, and a sign where it is fixed."""


@dataclass(frozen=True, slots=True)
class PolicyTrial:
    """One policy that was scored (method "fast_aa").

    Attributes:
        trial_id: its number within the fold.
        sub_policies: what it is made of.
        reward: what it was selected by, larger is better.
        rewards: all that was measured, see `autodl.augment.rewards.policy_rewards`.
        selected: whether it went into the policy.
    """

    trial_id: int
    sub_policies: tuple[Steps, ...]
    reward: float
    rewards: dict[str, float] = field(default_factory=dict)
    selected: bool = False


@dataclass(frozen=True, slots=True)
class OpScore:
    """What theta makes of one op over D_A (method "bank").

    Attributes:
        accuracy: mean over strengths and signs.
        best_accuracy: of its best strength.
        drop: plain accuracy - ``accuracy``.
        gain: what the op adds, at its best strength and probability, to the any-of-5 reward of no
            policy.
        vetoed: whether it was kept out of the policy.
    """

    accuracy: float
    best_accuracy: float
    drop: float
    gain: float
    vetoed: bool = False


@dataclass(frozen=True, slots=True)
class FoldResult:
    """One fold.

    Attributes:
        index: from 0.
        split: rows of D_M and D_A.
        accuracy: of theta on D_A as it is.
        sub_policies: what the fold adds to the policy.
        weights: how often each was chosen.
        reward: any-of-5 reward that the method expects of (bank) or measured for (fast_aa) it.
        forwards: images that theta saw after its training.
        seconds: wall-clock seconds.
        train_seconds: of them, training theta.
        is_complete: False if the time limit cut it short.
        trials: all scored policies (method "fast_aa").
        ops: all ops (method "bank").
    """

    index: int
    split: Split
    accuracy: float
    sub_policies: tuple[Steps, ...]
    weights: tuple[float, ...]
    reward: float
    forwards: int
    seconds: float
    train_seconds: float
    is_complete: bool = True
    trials: tuple[PolicyTrial, ...] = ()
    ops: dict[str, OpScore] = field(default_factory=dict)

    @property
    def forwards_per_image(self) -> float:
        """Forward passes of each image of D_A."""
        return self.forwards / len(self.split.search_rows)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        fields["split"] = {
            "train_rows": self.split.train_rows.tolist(),
            "search_rows": self.split.search_rows.tolist(),
        }
        fields["trials"] = [asdict(trial) for trial in self.trials]
        fields["ops"] = {name: asdict(score) for name, score in self.ops.items()}
        return fields

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FoldResult:
        """The inverse of `to_dict`."""
        fields = dict(data)
        fields["split"] = Split(**fields["split"])
        fields["sub_policies"] = _as_steps(fields["sub_policies"])
        fields["weights"] = tuple(fields["weights"])
        fields["trials"] = tuple(
            PolicyTrial(**{**trial, "sub_policies": _as_steps(trial["sub_policies"])})
            for trial in fields["trials"]
        )
        fields["ops"] = {name: OpScore(**score) for name, score in fields["ops"].items()}
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class PolicySearchResult:
    """The policy, and how it was found.

    Attributes:
        policy: all folds' sub-policies together; an `autodl.training.Augmentation`.
        method: "bank" or "fast_aa".
        folds: one record a fold, those that the time limit left out missing.
        seconds: wall-clock seconds of the search.
        num_folds: how many folds were asked for.
    """

    policy: Policy
    method: str
    folds: tuple[FoldResult, ...]
    seconds: float
    num_folds: int

    @property
    def op_weights(self) -> dict[str, float]:
        """Each op's share of the policy's op probability, largest first; sum 1, or empty without any op."""
        return self.policy.op_weights()

    @property
    def forwards(self) -> int:
        """Images that were run through thetas to score policies, trainings not counted."""
        return sum(fold.forwards for fold in self.folds)

    @property
    def trials(self) -> tuple[PolicyTrial, ...]:
        """All scored policies of all folds; the bank scores its policies by table and has none."""
        return tuple(trial for fold in self.folds for trial in fold.trials)

    @property
    def is_complete(self) -> bool:
        """False if the time limit cut the search short."""
        return len(self.folds) == self.num_folds and all(fold.is_complete for fold in self.folds)

    def summary(self) -> str:
        """A few lines of text."""
        ops = ", ".join(f"{name} {weight:.2f}" for name, weight in self.op_weights.items() if weight >= 0.005)
        vetoed = sorted({name for fold in self.folds for name, score in fold.ops.items() if score.vetoed})
        per_image = sum(fold.forwards_per_image for fold in self.folds) / len(self.folds)
        cut = "" if self.is_complete else f" of {self.num_folds}, cut by the time limit"
        lines = [
            f"{len(self.policy.sub_policies)} sub-policies by {self.method!r} from {len(self.folds)} "
            f"folds{cut}, {self.seconds:.1f} s",
            f"ops: {ops or 'none, images stay as they are'}",
            f"forward passes: {self.forwards:,} ({per_image:.0f} an image of D_A and fold)",
        ]
        lines += [f"kept out as harmful: {', '.join(vetoed)}"] if vetoed else []
        lines += [
            f"fold {fold.index}: accuracy {fold.accuracy:.3f} as it is, any of 5 under the policy "
            f"{fold.reward:.3f}"
            for fold in self.folds
        ]
        return "\n".join(lines)

    def to_json(self) -> str:
        """As JSON text; see `from_json`."""
        return json.dumps(
            {
                "version": VERSION,
                "method": self.method,
                "seconds": self.seconds,
                "num_folds": self.num_folds,
                "policy": json.loads(self.policy.to_json()),
                "folds": [fold.to_dict() for fold in self.folds],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> PolicySearchResult:
        """The inverse of `to_json`.

        Raises:
            OptionError: not the text of a search result, or of a newer version.
        """
        try:
            data = json.loads(text)
            version = data["version"]
            if version != VERSION:
                raise OptionError(f"the search result has version {version}; this autodl reads {VERSION}")
            return cls(
                policy=Policy.from_json(json.dumps(data["policy"])),
                method=str(data["method"]),
                folds=tuple(FoldResult.from_dict(fold) for fold in data["folds"]),
                seconds=float(data["seconds"]),
                num_folds=int(data["num_folds"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, OptionError):
                raise
            raise OptionError(
                f"this is no search result of autodl.augment ({type(error).__name__}: {error})"
            ) from error


def _as_steps(given: Any) -> tuple[Steps, ...]:
    return tuple(tuple(tuple(step) for step in steps) for steps in given)


def merge_policy(folds: tuple[FoldResult, ...]) -> Policy:
    """All folds' sub-policies as one policy; equal ones become one of higher weight.

    Every fold counts the same, however many sub-policies it has.
    """
    weights: dict[Steps, float] = {}
    for fold in folds:
        total = sum(fold.weights)
        for steps, weight in zip(fold.sub_policies, fold.weights, strict=True):
            weights[steps] = weights.get(steps, 0.0) + weight / (total * len(folds))
    return Policy(tuple(weights), tuple(weights.values()))
