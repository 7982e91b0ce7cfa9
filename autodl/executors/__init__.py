"""Where trials run."""

from autodl.executors.dask_executor import DaskExecutor
from autodl.executors.joblib_pool import JoblibExecutor
from autodl.executors.reporter import Reporter
from autodl.executors.serial import SerialExecutor
from autodl.executors.simulated import SimulatedExecutor
from autodl.executors.simulated_objectives import CurveObjective, FunctionObjective, TableObjective

__all__ = [
    "CurveObjective",
    "DaskExecutor",
    "FunctionObjective",
    "JoblibExecutor",
    "Reporter",
    "SerialExecutor",
    "SimulatedExecutor",
    "TableObjective",
]
