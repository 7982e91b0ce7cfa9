"""Schedulers decide how much resource each trial gets."""

from autodl.schedulers.asha import ASHAScheduler
from autodl.schedulers.fifo import FIFOScheduler
from autodl.schedulers.protocol import Scheduler
from autodl.schedulers.registry import get_scheduler

__all__ = [
    "ASHAScheduler",
    "FIFOScheduler",
    "Scheduler",
    "get_scheduler",
]
