"""The harness's simulated cluster, run by our own tuner on our own simulated cluster.

The numbers are the same as in the harness's loop (`check` compares them); it is needed for schedulers
that leave a worker idle, for which the harness has no word.

    python benchmarks/hpo/on_tuner.py
"""

from __future__ import annotations

import time
from typing import Any

import harness
import numpy as np

from autodl.executors.simulated_objectives import CurveObjective
from autodl.journal import read_journal
from autodl.simulation import simulate as run


def simulate(made: type, problem: Any, seed: int, horizon: float, workers: int = 4) -> dict[str, Any]:
    """As ``simulate`` of the harness's ``sim.py``; `decision_s` is the whole run's CPU time here."""
    adaptors, full_s = harness.load("autodl_"), harness.load("sim").FULL
    adaptor = made(problem.space, seed, harness.load("problems").EPOCHS)
    translation, scale = adaptor.driven.translation, full_s / problem.median_cost

    def curve(config: dict[str, Any]) -> tuple[Any, float]:
        values, seconds = problem.curve(translation.to_neutral(config))
        return values, seconds * scale

    known = {"max_resource": adaptor.max_epochs, "reduction_factor": 3, **adaptor.options}
    started = time.process_time()
    result = run(
        CurveObjective(curve, max_resource=adaptor.max_epochs, metric="value"),
        translation.space,
        metric="value",
        mode="min",
        searcher=adaptors.make(adaptors.SEARCHER_NAMES, adaptor.searcher, known),
        scheduler=adaptors.make(adaptors.SCHEDULER_NAMES, adaptor.scheduler, known),
        num_workers=workers,
        time_limit=horizon,
        seed=seed,
    )
    seconds = time.process_time() - started
    reports = [e for e in read_journal(result.path / "journal.jsonl") if e["event"] == "report"]
    history: list[tuple[float, float]] = []
    for event in reports:
        value = round(event["metrics"]["value"], 6)
        if not history or value < history[-1][1]:
            history.append((round(event["s"], 2), value))
    return {
        "hist": history,
        "epochs": len(reports),
        "trials": len(result.trials),
        "full": sum(trial.resource >= adaptor.max_epochs for trial in result.trials),
        "decision_s": round(seconds, 3),
    }


def check(names: str = "autodl-asha,autodl-tpe-asha", horizon: float = 1500.0) -> None:
    """Compare both loops.

    Raises:
        AssertionError: they differ.
    """
    problem, sim = harness.load("problems").get("mlp_digits"), harness.load("sim")
    for made in harness.adaptors("SCHEDULERS", names):
        for workers in (1, 4):
            theirs = sim.simulate(made, problem, 0, horizon, workers)
            ours = simulate(made, problem, 0, horizon, workers)
            for key in ("epochs", "trials", "full"):
                assert ours[key] == theirs[key], (key, ours[key], theirs[key])
            assert np.allclose(
                ours["hist"], theirs["hist"], rtol=0, atol=0.02
            )  # the journal's times are rounded
            print(made.name, f"W{workers}: the same", ours["hist"][-1], ours["epochs"], "epochs")


if __name__ == "__main__":
    check()
