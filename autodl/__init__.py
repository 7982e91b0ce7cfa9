"""Deep learning that tunes itself, in a few lines of Python.

Names are imported when they are first used: `import autodl` costs next to nothing.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autodl import augment, executors, nas, optim, schedulers, searchers, spaces
    from autodl.executors import DaskExecutor, JoblibExecutor, SerialExecutor, SimulatedExecutor
    from autodl.report.mlflow_log import MLflowCallback
    from autodl.report.tensorboard_log import TensorBoardCallback
    from autodl.result import TuneResult
    from autodl.saved_result import load_result
    from autodl.simulation import simulate
    from autodl.spaces import Bool, Categorical, Dict, Int, List, Real, args, func, obj
    from autodl.tasks import ImageClassification, ImageClassifier
    from autodl.tuner import tune

__version__ = "0.1.0.dev0"

# Threads of OpenMP that have nothing to do must not spin: a small fit on a busy machine was measured
# to take 51 s instead of 2. It has to stand before torch is loaded; what the user has set is kept.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__all__ = [
    "Bool",
    "Categorical",
    "DaskExecutor",
    "Dict",
    "ImageClassification",
    "ImageClassifier",
    "Int",
    "JoblibExecutor",
    "List",
    "MLflowCallback",
    "Real",
    "SerialExecutor",
    "SimulatedExecutor",
    "TensorBoardCallback",
    "TuneResult",
    "__version__",
    "args",
    "augment",
    "executors",
    "func",
    "load_result",
    "nas",
    "obj",
    "optim",
    "schedulers",
    "searchers",
    "simulate",
    "spaces",
    "tune",
]

# Where each public name lives; None: the name is a submodule.
_HOMES: dict[str, str | None] = {
    "Bool": "autodl.spaces",
    "Categorical": "autodl.spaces",
    "DaskExecutor": "autodl.executors",
    "Dict": "autodl.spaces",
    "ImageClassification": "autodl.tasks",
    "ImageClassifier": "autodl.tasks",
    "Int": "autodl.spaces",
    "JoblibExecutor": "autodl.executors",
    "List": "autodl.spaces",
    "MLflowCallback": "autodl.report.mlflow_log",
    "Real": "autodl.spaces",
    "SerialExecutor": "autodl.executors",
    "SimulatedExecutor": "autodl.executors",
    "TensorBoardCallback": "autodl.report.tensorboard_log",
    "TuneResult": "autodl.result",
    "args": "autodl.spaces",
    "augment": None,
    "executors": None,
    "func": "autodl.spaces",
    "load_result": "autodl.saved_result",
    "nas": None,
    "obj": "autodl.spaces",
    "optim": None,
    "schedulers": None,
    "searchers": None,
    "simulate": "autodl.simulation",
    "spaces": None,
    "tune": "autodl.tuner",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    if home is None:
        return importlib.import_module(f"{__name__}.{name}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
