"""What a trial leaves behind: its weights and its predictions for the rows it held out."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
from numpy.typing import NDArray
from torch import Tensor

from autodl.models.weights_io import save_weights, write_atomically
from autodl.tasks.ensemble_network import NetworkSpec

SPEC_FILE = "member.json"
WEIGHTS_FILE = "member.safetensors"
VALIDATION_FILE = "validation.npz"


@dataclass(frozen=True, slots=True)
class Member:
    """A trained candidate for the ensemble.

    Attributes:
        trial_id: the trial that trained it.
        network: how to build its network, or the frozen backbone that its head reads.
        frozen: the weights are a linear head's only.
        flip: its probabilities are averaged with those of the mirror image.
        rows: (m,) rows of the run's data that it was judged on, ascending.
        probs: (m, k) probabilities for these rows, by weights that never saw them.
    """

    trial_id: int
    network: NetworkSpec
    frozen: bool
    flip: bool
    rows: NDArray[np.int64]
    probs: NDArray[np.float32]

    def save(self, directory: Path, state: Mapping[str, Tensor]) -> None:
        """Write the member and its weights; ``member.json`` comes last and marks it complete."""
        directory.mkdir(parents=True, exist_ok=True)
        save_weights(state, directory / WEIGHTS_FILE)
        np.savez(directory / VALIDATION_FILE, rows=self.rows, probs=self.probs)
        document = {
            "trial_id": self.trial_id,
            "network": self.network.to_json(),
            "frozen": self.frozen,
            "flip": self.flip,
        }
        write_atomically(directory / SPEC_FILE, json.dumps(document).encode())

    @classmethod
    def load(cls, directory: Path) -> Member | None:
        """The member a trial left in its directory; None when it left none."""
        try:
            document: dict[str, Any] = json.loads((directory / SPEC_FILE).read_text())
            with (directory / VALIDATION_FILE).open("rb") as file:  # numpy leaves a damaged file open
                validation = np.load(file, allow_pickle=False)
                rows, probs = validation["rows"], validation["probs"]
            return cls(
                trial_id=document["trial_id"],
                network=NetworkSpec.from_json(document["network"]),
                frozen=document["frozen"],
                flip=document["flip"],
                rows=rows,
                probs=probs,
            )
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None  # missing, or torn: the disk was full, or the process was killed


def load_state(directory: Path) -> dict[str, Tensor]:
    """The weights of the member in a trial's directory."""
    return safetensors.torch.load_file(directory / WEIGHTS_FILE)
