"""Policy search: does it find what the data needs, what does it cost, and does it help?

Four tables, each kept row by row in `results/augment_search/NAME.jsonl`; a run goes on where the last
one ended, and `render` writes `results/augment_search.md`.

    python benchmarks/augment_search.py planted   # shifts between D_M and D_A that one op undoes
    python benchmarks/augment_search.py harmful   # labels that one op changes
    python benchmarks/augment_search.py cost      # a search on 4,000 CIFAR-10 images
    python benchmarks/augment_search.py compare   # CIFAR-10 and digits, 5 paired seeds, about 30 CPU minutes
    python benchmarks/augment_search.py render

One thread. Seconds are CPU seconds where they say so. CIFAR-10 is read from
`$AUTODL_DATA/cifar10/{train,test}.parquet` (columns image, label).
"""

from __future__ import annotations

import argparse
import io
import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import t as student
from sklearn.datasets import load_digits
from support.rows import Row, add, stored

from autodl import optim
from autodl.augment.bank import search_ops
from autodl.augment.fold_jobs import FoldResult
from autodl.augment.folds import Split
from autodl.augment.gate import choose_augmentation
from autodl.augment.ops import OP_NAMES, apply_ops
from autodl.augment.policy import Policy
from autodl.augment.random_policies import RandAugment, TrivialAugmentWide
from autodl.augment.search import search_policy
from autodl.augment.search_data import is_grey
from autodl.augment.theta import ThetaOptions, small_network
from autodl.rng import derive_seed
from autodl.training import Compose, PadCropFlip, PixelBatches, Preprocess, TrainOptions, train_network

HERE = Path(__file__).parent / "results"
ROWS = HERE / "augment_search"
DATA = Path(os.environ.get("AUTODL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SIDE, SEEDS = 32, 5
CIFAR_TRAIN, CIFAR_EPOCHS, DIGITS_TRAIN, DIGITS_EPOCHS = 5000, 12, 1000, 20
BANK_FOLDS, PUBLISHED_FOLDS, PUBLISHED_TRIALS, PUBLISHED_IMAGES = 2, 2, 60, 1000
ARMS = ("none", "random policy", "TA-Wide", "RA(2,9)", "published", "bank", "gated auto")

Data = tuple[torch.Tensor, np.ndarray]


# ---------------------------------------------------------------- rows


def rows_of(table: str) -> list[Row]:
    return stored(ROWS / f"{table}.jsonl")


def add_row(table: str, row: Row) -> None:
    add(ROWS / f"{table}.jsonl", row)


def todo(table: str, keys: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The keys no row has yet."""
    done = [{k: row.get(k) for k in ("case", "seed", "method")} for row in rows_of(table)]
    return [key for key in keys if {"method": None, **key} not in done]


# ---------------------------------------------------------------- data


def digits() -> Data:
    """(1797, 3, 32, 32) uint8: 8 x 8 digits enlarged to 24 with a border of 4, as grey RGB."""
    bunch = load_digits()
    small = torch.tensor(bunch.images, dtype=torch.float32).mul(15.9)[:, None]
    large = F.interpolate(small, size=24, mode="bilinear").round().clamp(0, 255).to(torch.uint8)
    return F.pad(large, (4, 4, 4, 4)).expand(-1, 3, -1, -1).contiguous(), bunch.target.astype(np.int64)


def cifar(part: str) -> Data:
    import pandas as pd
    from PIL import Image

    frame = pd.read_parquet(DATA / "cifar10" / f"{part}.parquet", columns=["image", "label"])
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(raw)).convert("RGB")) for raw in frame.image])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), frame.label.to_numpy(np.int64)


def op(name: str, images: torch.Tensor, magnitude: float) -> torch.Tensor:
    kinds = torch.full((len(images),), OP_NAMES.index(name), dtype=torch.int64)
    return apply_ops(images, kinds, torch.full((len(images),), float(magnitude)))


def halves(images: torch.Tensor, first: Callable, second: Callable) -> torch.Tensor:
    middle = len(images) // 2
    return torch.cat([first(images[:middle]), second(images[middle:])])


def planted(case: str, seed: int) -> tuple[torch.Tensor, np.ndarray, slice]:
    """Images, labels and the test part: rows 0-799 are D_M, 800-1099 D_A, the rest the test part."""
    images, labels = digits()
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)
    images, labels = images[order], labels[order.numpy()]
    side = torch.rand(len(images), generator=generator) < 0.5
    if case == "label = polarity":
        images = torch.where(side.view(-1, 1, 1, 1), 255 - images, images)
        labels = labels + 10 * side.numpy()
    if case == "label = side":
        right, left = op("TranslateX", images, 6), op("TranslateX", images, -6)
        images, labels = torch.where(side.view(-1, 1, 1, 1), right, left), side.numpy().astype(np.int64)
    shift: dict[str, tuple[Callable, Callable]] = {
        "half inverted": (lambda x: x, lambda x: 255 - x),
        "rotated 25 deg": (lambda x: op("Rotate", x, 25), lambda x: op("Rotate", x, -25)),
    }
    if case in shift:
        images = torch.cat(
            [images[:800], halves(images[800:1100], *shift[case]), halves(images[1100:], *shift[case])]
        )
    return images, labels, slice(1100, None)


SHIFTS = {"half inverted": "Invert", "rotated 25 deg": "Rotate"}
HARMS = {"label = polarity": "Invert", "label = side": "TranslateX"}
PLANTED_SPLIT = Split(np.arange(800), np.arange(800, 1100))


# ---------------------------------------------------------------- training and arms


def accuracy_of(train: Data, test: Data, augmentation: Any, *, epochs: int, seed: int) -> float:
    """Test accuracy of the small network, trained with shifts, mirroring of colours, and a policy."""
    images, labels = train
    classes = int(max(labels.max(), test[1].max())) + 1
    torch.manual_seed(derive_seed(seed, "weights"))
    net = small_network(SIDE, 3, classes)
    base = PadCropFlip(pad=4, flip=not is_grey(images))
    pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
    tests = test[0].permute(0, 2, 3, 1).contiguous().numpy()
    size = 128 if len(pixels) >= 2000 else 64
    preprocess = Preprocess((0.5,) * 3, (0.25,) * 3)
    last: list[float] = []
    train_network(
        net,
        train_batches=PixelBatches(pixels, labels, None, size, shuffle=True),
        val_batches=PixelBatches(pixels, labels, np.arange(256), 128),
        preprocess=preprocess,
        optimizer_factory=optim.OptimizerFactory(
            "SGD", (("lr", 0.1), ("momentum", 0.9), ("weight_decay", 5e-4), ("nesterov", True))
        ),
        options=TrainOptions(epochs=epochs, batch_size=size, precision="fp32", clip_norm=5.0),
        augmentation=base if augmentation is None else Compose(augmentation, base),
        seed=derive_seed(seed, "train"),
        device="cpu",
        on_epoch=lambda result: last.append(result.train_loss),
    )
    net.eval()
    with torch.inference_mode():
        parts = [
            net(preprocess.normalise(part, torch.float32, True)).argmax(1)
            for part in torch.from_numpy(tests).permute(0, 3, 1, 2).split(256)
        ]
    return float((torch.cat(parts).numpy() == test[1]).mean())


def random_policy(seed: int, ops: tuple[str, ...], number: int = 50) -> Policy:
    rng = np.random.default_rng(seed)
    return Policy(
        [
            [(str(rng.choice(ops)), float(rng.random()), float(rng.random())) for _ in range(2)]
            for _ in range(number)
        ]
    )


# ---------------------------------------------------------------- planted and harmful


def weight_and_rank(weights: dict[str, float], name: str) -> tuple[float, int]:
    weight = weights.get(name, 0.0)
    return weight, 1 + sum(other > weight for other in weights.values())


def run_planted(table: str, cases: dict[str, str], seeds: int, trials: int) -> None:
    keys = [
        {"case": case, "seed": seed, "method": method}
        for method in ("bank", "fast_aa")
        for seed in range(seeds)
        for case in cases
    ]
    for key in todo(table, keys):
        images, labels, test = planted(key["case"], key["seed"])
        options = {} if key["method"] == "bank" else {"trials": trials}
        started = time.process_time()
        result = search_policy(
            images, labels, method=key["method"], folds=[PLANTED_SPLIT], seed=key["seed"], **options
        )
        cpu = time.process_time() - started
        weight, rank = weight_and_rank(result.op_weights, cases[key["case"]])
        fold: FoldResult = result.folds[0]
        row = {
            **key,
            "op": cases[key["case"]],
            "weight": weight,
            "rank": rank,
            "cpu_s": cpu,
            "forwards_per_image": fold.forwards_per_image,
            "op_weights": result.op_weights,
            "vetoed": [name for name, score in fold.ops.items() if score.vetoed],
        }
        if table == "planted":
            ops = search_ops(is_grey=True)
            train, tests = (images[:800], labels[:800]), (images[test], labels[test])
            arms = {"found": result.policy}
            if key["method"] == "bank":
                arms |= {"none": None, "random": random_policy(key["seed"], ops)}
            row["test"] = {
                arm: accuracy_of(train, tests, policy, epochs=15, seed=key["seed"])
                for arm, policy in arms.items()
            }
        add_row(table, row)


# ---------------------------------------------------------------- cost


def run_cost() -> None:
    for key in todo("cost", [{"case": "cifar10 4000", "seed": 0, "method": "bank"}]):
        images, labels = cifar("train")
        started, cpu = time.monotonic(), time.process_time()
        result = search_policy(images[:4000], labels[:4000], seed=0)
        add_row(
            "cost",
            {
                **key,
                "wall_s": time.monotonic() - started,
                "cpu_s": time.process_time() - cpu,
                "folds": len(result.folds),
                "fold_s": [fold.seconds for fold in result.folds],
                "train_s": [fold.train_seconds for fold in result.folds],
                "forwards": result.forwards,
                "forwards_per_image": max(fold.forwards_per_image for fold in result.folds),
                "load": os.getloadavg()[0],
            },
        )


# ---------------------------------------------------------------- comparison


class Comparison:
    """All arms of one data set and seed; what arms share is made once."""

    def __init__(self, case: str, seed: int) -> None:
        self.seed, rng = seed, np.random.default_rng(seed)
        if case == "cifar10":
            images, labels = cifar("train")
            rows = rng.permutation(len(images))[:CIFAR_TRAIN]
            self.train, self.test = (images[rows], labels[rows]), cifar("test")
            self.epochs = CIFAR_EPOCHS
        else:
            images, labels = digits()
            order = rng.permutation(len(images))
            first, rest = order[:DIGITS_TRAIN], order[DIGITS_TRAIN:]
            self.train, self.test = (images[first], labels[first]), (images[rest], labels[rest])
            self.epochs = DIGITS_EPOCHS
        share = len(self.train[0]) * 4 // 5
        self.part = (self.train[0][:share], self.train[1][:share])
        self.held_out = (self.train[0][share:], self.train[1][share:])
        self.found: dict[str, Any] = {}

    def policy(self, arm: str) -> tuple[Any, dict[str, Any]]:
        """The augmentation of an arm, and what there is to note about it."""
        if arm not in self.found:
            self.found[arm] = self._policy(arm)
        return self.found[arm]

    def _policy(self, arm: str) -> tuple[Any, dict[str, Any]]:
        grey = is_grey(self.train[0])
        if arm == "random policy":
            return random_policy(self.seed, search_ops(is_grey=grey)), {}
        if arm == "TA-Wide":
            return TrivialAugmentWide(), {}
        if arm == "RA(2,9)":
            return RandAugment(2, 9), {}
        if arm in ("published", "bank"):
            return self._search(arm)
        if arm == "gated auto":
            return self._gate()
        return None, {}

    def _search(self, arm: str) -> tuple[Any, dict[str, Any]]:
        images, labels = self.part
        if arm == "published":
            images, labels = images[:PUBLISHED_IMAGES], labels[:PUBLISHED_IMAGES]
        options: dict[str, Any] = {"method": "bank", "folds": BANK_FOLDS}
        if arm == "published":
            options = {"method": "fast_aa", "folds": PUBLISHED_FOLDS, "trials": PUBLISHED_TRIALS}
        started = time.process_time()
        result = search_policy(images, labels, seed=self.seed, theta=ThetaOptions(device="cpu"), **options)
        noted = {
            "search_cpu_s": time.process_time() - started,
            "forwards": result.forwards,
            "op_weights": result.op_weights,
        }
        return result.policy, noted

    def _gate(self) -> tuple[Any, dict[str, Any]]:
        names = {"none": "none", "trivial": "TA-Wide", "found": "bank"}
        candidates = {name: self.policy(arm)[0] for name, arm in names.items()}
        decision = choose_augmentation(
            candidates,
            lambda name: accuracy_of(
                self.part, self.held_out, candidates[name], epochs=self.epochs, seed=self.seed
            ),
            images=len(self.held_out[0]),
        )
        return decision.augmentation, {"winner": names[decision.winner], "held_out": decision.scores}


def run_compare(seeds: int, only: str | None) -> None:
    for seed in range(seeds):
        for case in ("digits", "cifar10"):
            keys = [{"case": case, "seed": seed, "method": arm} for arm in ARMS]
            left = todo("compare", keys) if only in (None, case) else []
            if not left:
                continue
            comparison = Comparison(case, seed)
            for key in left:
                started = time.process_time()
                augmentation, noted = comparison.policy(key["method"])
                earlier = [
                    row
                    for row in rows_of("compare")
                    if (row["case"], row["seed"], row["method"]) == (case, seed, noted.get("winner"))
                ]
                value = (
                    earlier[0]["accuracy"]
                    if earlier
                    else accuracy_of(
                        comparison.train, comparison.test, augmentation, epochs=comparison.epochs, seed=seed
                    )
                )
                row = {**key, "accuracy": value, **noted, "cpu_s": time.process_time() - started}
                add_row("compare", row)


# ---------------------------------------------------------------- rendering


def interval(values: list[float]) -> str:
    """Mean and the half width of its 95 % interval."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:.2f}"
    half = student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return f"{mean:+.2f} ± {half:.2f}"


def planted_table() -> list[str]:
    lines = [
        "## Planted shifts",
        "",
        "Digits at 32 px, 800 D_M, 300 D_A, 697 test images. D_A and the test part are shifted, D_M is not. "
        "Test accuracy of a network trained on D_M with the policy.",
        "",
        "| case | seed | op | method | weight | rank | forwards / image | CPU s | none | random | found |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    rows = rows_of("planted")
    for row in sorted(rows, key=lambda row: (row["case"], row["seed"], row["method"])):
        shared = next(
            (
                r["test"]
                for r in rows
                if (r["case"], r["seed"], r["method"]) == (row["case"], row["seed"], "bank")
            ),
            {},
        )
        none, random = (f"{shared[arm]:.3f}" if arm in shared else "" for arm in ("none", "random"))
        lines.append(
            f"| {row['case']} | {row['seed']} | {row['op']} | {row['method']} | {row['weight']:.2f} "
            f"| {row['rank']} | {row['forwards_per_image']:.0f} | {row['cpu_s']:.1f} | {none} | {random} "
            f"| {row['test']['found']:.3f} |"
        )
    return lines


def harmful_table() -> list[str]:
    lines = [
        "## Planted harm",
        "",
        f"The op changes the label. Chance: a weight of {1 / len(search_ops(is_grey=True)):.3f}.",
        "",
        "| case | seed | op | method | weight | vetoed |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(rows_of("harmful"), key=lambda row: (row["case"], row["seed"], row["method"])):
        lines.append(
            f"| {row['case']} | {row['seed']} | {row['op']} | {row['method']} | {row['weight']:.3f} "
            f"| {', '.join(row['vetoed'])} |"
        )
    return lines


def cost_table() -> list[str]:
    lines = ["## Cost", "", "4,000 CIFAR-10 images, small network, 5 folds, one worker of one thread.", ""]
    for row in rows_of("cost"):
        lines.append(
            f"{row['method']}: {row['cpu_s']:.0f} CPU seconds ({row['wall_s']:.0f} s of wall clock at a load "
            f"of {row['load']:.0f}), {row['forwards']:,} forward passes, at most "
            f"{row['forwards_per_image']:.0f} an image of D_A and fold; training theta took "
            f"{100 * np.sum(row['train_s']) / np.sum(row['fold_s']):.0f} % of the time. Folds run side by "
            f"side: two workers, each on a core of its own, need about {row['cpu_s'] * 3 / 5:.0f} s (three "
            "folds and two)."
        )
    return lines


def compare_table() -> list[str]:
    rows, gates = rows_of("compare"), []
    lines = [
        "## Comparison",
        "",
        "Small network (small_resnet, width 16, first_map 8), shifts by 4 px, mirroring for CIFAR-10. "
        f"CIFAR-10: {CIFAR_TRAIN:,} train, 5,000 test images, {CIFAR_EPOCHS} epochs; digits: "
        f"{DIGITS_TRAIN:,} and 797, {DIGITS_EPOCHS} epochs. Policies are searched on 80 % of the train "
        f"images: bank, {BANK_FOLDS} folds; published, {PUBLISHED_FOLDS} folds of {PUBLISHED_TRIALS} trials "
        f"on {PUBLISHED_IMAGES:,} images at most. Gated auto trains none, TA-Wide and bank on these 80 %, "
        "and takes the one that is best on the other 20 %. Differences to none are paired by seed; ± is a "
        "95 % interval.",
        "",
        "| data | arm | seeds | accuracy, % | to none, points | search CPU s | forwards |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in ("cifar10", "digits"):
        by_arm = {
            arm: {row["seed"]: row for row in rows if (row["case"], row["method"]) == (case, arm)}
            for arm in ARMS
        }
        for arm, found in by_arm.items():
            if not found:
                continue
            paired = [
                100 * (row["accuracy"] - by_arm["none"][seed]["accuracy"])
                for seed, row in found.items()
                if seed in by_arm["none"]
            ]
            mean = 100 * float(np.mean([row["accuracy"] for row in found.values()]))
            cost = [row["search_cpu_s"] for row in found.values() if "search_cpu_s" in row]
            forwards = [row["forwards"] for row in found.values() if "forwards" in row]
            lines.append(
                f"| {case} | {arm} | {len(found)} | {mean:.2f} | {interval(paired) if arm != 'none' else ''} "
                f"| {f'{np.mean(cost):.0f}' if cost else ''} "
                f"| {f'{np.mean(forwards):,.0f}' if forwards else ''} |"
            )
        gates.append(gate_line(case, by_arm))
    return lines + gates


def gate_line(case: str, by_arm: dict[str, dict[int, dict[str, Any]]]) -> str:
    gate = by_arm["gated auto"]
    seeds = [seed for seed in gate if all(seed in by_arm[arm] for arm in ("none", "TA-Wide"))]
    if len(seeds) < 2:
        return ""
    means = {arm: np.mean([by_arm[arm][seed]["accuracy"] for seed in seeds]) for arm in ("none", "TA-Wide")}
    best = max(means, key=means.__getitem__)
    gaps = [100 * (gate[seed]["accuracy"] - by_arm[best][seed]["accuracy"]) for seed in seeds]
    values = [100 * by_arm[best][seed]["accuracy"] for seed in seeds]
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    winners = ", ".join(gate[seed]["winner"] for seed in seeds)
    verdict = "holds" if np.mean(gaps) >= -0.5 * error else "does not hold"
    return (
        f"\n{case}: the gate took {winners}. Gated auto - the better of none and TA-Wide ({best}): "
        f"{np.mean(gaps):+.2f} points; half a standard error of that arm's mean is "
        f"{0.5 * error:.2f}: {verdict}.\n"
    )


def render() -> None:
    lines = [
        "# Policy search",
        "",
        "`python benchmarks/augment_search.py planted|harmful|cost|compare|render`; torch "
        f"{torch.__version__.split('+')[0]}, one thread.",
        "",
        *planted_table(),
        "",
        *harmful_table(),
        "",
        *cost_table(),
        "",
        *compare_table(),
    ]
    (HERE / "augment_search.md").write_text("\n".join(lines).rstrip() + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    tables = ("planted", "harmful", "cost", "compare")
    parser.add_argument("table", nargs="?", choices=(*tables, "render"), help="default: all of them")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--trials", type=int, default=60, help="of the published search, planted and harmful")
    parser.add_argument("--only", choices=("cifar10", "digits"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    wanted = tables if args.table is None else (args.table,)
    if "planted" in wanted:
        run_planted("planted", SHIFTS, args.seeds or 3, args.trials)
    if "harmful" in wanted:
        run_planted("harmful", HARMS, args.seeds or 3, args.trials)
    if "cost" in wanted:
        run_cost()
    if "compare" in wanted:
        run_compare(args.seeds or SEEDS, args.only)
    render()


if __name__ == "__main__":
    main()
