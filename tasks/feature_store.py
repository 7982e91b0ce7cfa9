"""Features of frozen backbones in a run's cache: computed by the first trial that asks, for all."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from autodl.errors import TrialError
from autodl.models import Classifier
from autodl.rng import derive_seed
from autodl.tasks.run_data import RunData
from autodl.training import FeatureTable, extract_features, open_features

if sys.platform != "win32":
    import fcntl

LOCK_POLL_S = 0.05


class FeatureStore:
    """Features of one backbone in the run's cache; the first trial that asks computes them.

    Args:
        cache: directory of the run's data.
        data: the images.
        backbone: the network's name.
        weights: what it is loaded with; part of the features' identity.
        net: the network.
    """

    def __init__(
        self, cache: Path, data: RunData, backbone: str, weights: str | Path, net: Classifier
    ) -> None:
        self.folder, self.data, self.net = cache / "features", data, net
        self.key = f"{backbone}-{derive_seed(0, str(weights)) % 10**6}"

    def find(self, view: str) -> FeatureTable | None:
        """What is there already; None if nothing is."""
        out = self._file(view)
        return open_features(out) if out.with_suffix(".json").exists() else None

    def _file(self, view: str) -> Path:
        return self.folder / f"{self.key}-{view}.npy"

    def get(self, view: str, deadline: float | None) -> FeatureTable:
        """All rows in one view, or as many of them, in a fixed mixed order, as time allows.

        Args:
            view: a view of `extract_features`.
            deadline: on ``time.monotonic``'s scale; None: no limit.
        """
        out = self._file(view)
        self.folder.mkdir(parents=True, exist_ok=True)
        with _lock(out.with_suffix(".lock"), deadline) as mine:
            found = self.find(view)
            if found is not None and (found.complete_views or not mine):
                return found
            if not mine:
                raise TrialError("another trial is still computing the features when time is up")
            # Mixed, so that what is done when time runs out is a fair sample of all classes.
            rows = np.random.default_rng(0).permutation(len(self.data.labels))
            return extract_features(self.net, self.data.pixels, rows, (view,), deadline=deadline, out=out)


@contextlib.contextmanager
def _lock(path: Path, deadline: float | None) -> Iterator[bool]:
    """Held by one process at a time; yields False if another still has it at the deadline.

    The kernel frees it when its owner dies, so a killed worker blocks nobody.
    """
    if sys.platform == "win32":  # no flock there: two workers may compute the same features
        yield True
        return
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if deadline is not None and time.monotonic() >= deadline:
                    yield False
                    return
                time.sleep(LOCK_POLL_S)
            else:
                yield True
                return
