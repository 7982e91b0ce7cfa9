"""``augment.json``: which augmentation a run uses, why, and the policy that was found for its data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from autodl.augment import Policy
from autodl.tasks.run_record import read_record, write_record

FILE = "augment.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class AugmentArm:
    """An augmentation that was tried on held-out images.

    Attributes:
        name: what `fit` calls it; "standard" is no policy, crops and mirror images only.
        score: the metric of the fit.
        log_loss: mean log loss, smaller is better.
    """

    name: str
    score: float
    log_loss: float


@dataclass(frozen=True, slots=True)
class AugmentRecord:
    """How a run augments its images.

    Attributes:
        asked: the caller's ``augment``; "own" for an object.
        chosen: the name that every training starts from; None: left to the search, as one of its
            hyperparameters.
        note: why, a sentence.
        arms: what was compared, best first; empty where nothing was.
        held_out: images that the arms were judged on.
        policy: what the search found; None: there was none.
        op_weights: op -> its share in the policy.
        seconds: wall-clock seconds that it took, search and comparison.
    """

    asked: str
    chosen: str | None
    note: str = ""
    arms: tuple[AugmentArm, ...] = ()
    held_out: int = 0
    policy: Policy | None = None
    op_weights: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values; floats are finite."""
        return {
            "asked": self.asked,
            "chosen": self.chosen,
            "note": self.note,
            "arms": [asdict(arm) for arm in self.arms],
            "held_out": self.held_out,
            "policy": None if self.policy is None else json.loads(self.policy.to_json()),
            "op_weights": dict(self.op_weights),
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        policy = document["policy"]
        return cls(
            asked=document["asked"],
            chosen=document["chosen"],
            note=document["note"],
            arms=tuple(AugmentArm(**arm) for arm in document["arms"]),
            held_out=document["held_out"],
            policy=None if policy is None else Policy.from_json(json.dumps(policy)),
            op_weights=dict(document["op_weights"]),
            seconds=document["seconds"],
        )

    def write(self, run: Path) -> None:
        """Keep the record in a run's directory."""
        write_record(run / FILE, VERSION, self.to_json())

    @classmethod
    def read(cls, run: Path) -> Self | None:
        """The record of a run; None where none was written.

        Raises:
            JournalError: the file is damaged, or from a newer version.
        """
        return read_record(run / FILE, VERSION, cls.from_json)
