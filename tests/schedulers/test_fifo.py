from __future__ import annotations

from autodl.schedulers.fifo import FIFOScheduler
from autodl.testing.schedulers import DriveOptions, SchedulerContract, drive, separated
from autodl.trial import TrialState


class TestFIFO(SchedulerContract):
    def make(self) -> FIFOScheduler:
        return FIFOScheduler()


def test_every_trial_runs_to_its_own_end():
    driven = drive(FIFOScheduler(), separated, DriveOptions(num_trials=12, max_resource=5))
    assert driven.ids(TrialState.COMPLETED) == set(range(12))
    assert set(driven.resources.values()) == {5}
