"""Where trials run."""

from autodl.executors.joblib_pool import JoblibExecutor
from autodl.executors.reporter import Reporter
from autodl.executors.serial import SerialExecutor

__all__ = [
    "JoblibExecutor",
    "Reporter",
    "SerialExecutor",
]
