"""Our searchers and schedulers in the peers' harness; rows go to ``benchmarks/results/hpo/``.

    python benchmarks/hpo/run_regret.py regret --names autodl-gp,autodl-tpe --seeds 20
    python benchmarks/hpo/run_regret.py mf --names autodl-mobster --seeds 20
    python benchmarks/hpo/run_regret.py scaling --names autodl-mobster --seeds 20
    python benchmarks/hpo/run_regret.py overhead --names autodl-gp

Halves for two cores: ``--first 0 --seeds 10`` and ``--first 10 --seeds 10``. Runs that are stored are
not repeated (``--again`` repeats them). One thread a process: times are CPU seconds.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import on_tuner
from harness import OUT, adaptors, append, load, rows

SIMULATED_S = {"mf": 6000.0, "scaling": 6000.0}


def stored(kind: str, **wanted: Any) -> bool:
    """True where our results hold such a row."""
    return any(all(row.get(key) == value for key, value in wanted.items()) for row in rows(kind))


def regret(options: argparse.Namespace) -> None:
    """Sequential regret on the four problems."""
    run, version = load("run"), load("autodl_").VERSION
    OUT.mkdir(parents=True, exist_ok=True)
    for made in adaptors("SEARCHERS", options.names):
        for problem in options.problems.split(","):
            for seed in range(options.first, options.first + options.seeds):
                key = {"adaptor": made.name, "problem": problem, "seed": seed, "trials": options.trials}
                if options.again or not stored("regret", **key):
                    run.regret(made, version, problem, options.trials, 1, OUT / "regret.jsonl", seed)


def cluster(options: argparse.Namespace) -> None:
    """Regret over simulated time, on 4 workers or on 1 to 16."""
    theirs, ours = load("sim").simulate, load("autodl_")
    problem = load("problems").get("mlp_digits")
    counts = [4] if options.what == "mf" else [int(n) for n in options.workers.split(",")]
    horizon = options.horizon or SIMULATED_S[options.what]
    for made in adaptors("SCHEDULERS", options.names):
        for workers in counts:
            simulate = on_tuner.simulate if made.scheduler in ours.LEAVE_IDLE else theirs
            for seed in range(options.first, options.first + options.seeds):
                key = {"adaptor": made.name, "seed": seed, "horizon": horizon, "workers": workers}
                if not options.again and stored("mf", **key):
                    continue
                row = simulate(made, problem, seed, horizon, workers)
                row.update(kind="mf", version=ours.VERSION, problem="mlp_digits", **key)
                append("mf.jsonl" if workers == 4 else "scaling.jsonl", row)
                print(
                    made.name,
                    f"W{workers} seed {seed}",
                    row["hist"][-1],
                    f"{row['decision_s']} cpu-s",
                    flush=True,
                )


def overhead(options: argparse.Namespace) -> None:
    """CPU seconds of suggest and observe with n observations."""
    run, version = load("run"), load("autodl_").VERSION
    OUT.mkdir(parents=True, exist_ok=True)
    sizes = [int(n) for n in options.ns.split(",")]
    for made in adaptors("SEARCHERS", options.names):
        run.overhead(made, version, "mlp_digits", sizes, OUT / "overhead.jsonl", options.limit)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["regret", "mf", "scaling", "overhead"])
    parser.add_argument("--names", default="all", help="comma-separated adaptors; all: every one there is")
    parser.add_argument("--problems", default="branin,hartmann6,mlp_digits,ackley10")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", default="1,2,8,16", help="for scaling; 4 is what mf runs")
    parser.add_argument("--horizon", type=float, default=0.0, help="simulated seconds; 0: 6000")
    parser.add_argument("--ns", default="50,200,1000")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for one overhead row")
    parser.add_argument("--again", action="store_true", help="repeat what is stored")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    {"regret": regret, "mf": cluster, "scaling": cluster, "overhead": overhead}[options.what](options)


if __name__ == "__main__":
    main()
