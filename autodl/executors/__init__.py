"""Where trials run."""

from autodl.executors.reporter import Reporter
from autodl.executors.serial import SerialExecutor

__all__ = [
    "Reporter",
    "SerialExecutor",
]
