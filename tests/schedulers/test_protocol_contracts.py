"""Every scheduler under the one contract."""

from __future__ import annotations

from autodl.schedulers.asha import ASHAScheduler
from autodl.schedulers.hyperband import HyperbandScheduler
from autodl.schedulers.median import MedianStoppingScheduler
from autodl.schedulers.pbt import PBTScheduler
from autodl.schedulers.sync_halving import SyncHalvingScheduler
from autodl.spaces import Real, SearchSpace
from autodl.testing.schedulers import SchedulerContract


class TestASHAPromotion(SchedulerContract):
    def make(self) -> ASHAScheduler:
        return ASHAScheduler(self.max_resource, type="promotion")


class TestASHAPromotionBracketsFractionalFactor(SchedulerContract):
    max_resource = 20

    def make(self) -> ASHAScheduler:
        return ASHAScheduler(20, grace_period=2, reduction_factor=1.7, brackets=3, type="promotion")


class TestASHAPromotionWithoutRungs(SchedulerContract):
    max_resource = 1

    def make(self) -> ASHAScheduler:
        return ASHAScheduler(1, type="promotion")


class TestHyperband(SchedulerContract):
    def make(self) -> HyperbandScheduler:
        return HyperbandScheduler(self.max_resource)


class TestHyperbandPromotion(SchedulerContract):
    def make(self) -> HyperbandScheduler:
        return HyperbandScheduler(self.max_resource, type="promotion")


class TestSyncHalving(SchedulerContract):
    is_asynchronous = False

    def make(self) -> SyncHalvingScheduler:
        return SyncHalvingScheduler(self.max_resource)


class TestSyncHyperband(SchedulerContract):
    is_asynchronous = False

    def make(self) -> SyncHalvingScheduler:
        return SyncHalvingScheduler(self.max_resource, brackets=4)


class TestMedian(SchedulerContract):
    def make(self) -> MedianStoppingScheduler:
        return MedianStoppingScheduler()


class TestPBT(SchedulerContract):
    def make(self) -> PBTScheduler:
        scheduler = PBTScheduler(self.max_resource, interval=3, population=60)
        scheduler.bind(SearchSpace({"x": Real(0, 1)}), seed=0)
        return scheduler
