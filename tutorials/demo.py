"""What `make demo` runs: fit scikit-learn's digits for a minute, look at the result, save and reload it.

    python tutorials/demo.py [--time-limit 60] [--out demo]

Writes digits.autodl and report.html. The exit code is 1 if the classifier is worse than it should be, or
predicts otherwise after it was saved and loaded.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch loads: idle threads must not spin

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from autodl import ImageClassification, ImageClassifier

LEAST_ACCURACY = 0.97


def show_leaderboard(classifier: ImageClassifier) -> None:
    table = classifier.leaderboard()
    wanted = ["trial_id", "state", "accuracy", "weight", "resource", "seconds", "net/width", "optimizer/lr"]
    with pd.option_context("display.width", 160, "display.max_columns", None, "display.precision", 4):
        print(table[wanted].head(10).to_string(index=False))


def main(out: Path, **limits: Any) -> int:
    started = time.perf_counter()
    digits = load_digits()
    train_images, test_images, train_labels, test_labels = train_test_split(
        digits.images, digits.target, test_size=0.25, stratify=digits.target, random_state=0
    )
    print(f"{len(train_images)} digits of 8 x 8 pixels to learn from, {len(test_images)} to test on")

    classifier = ImageClassification.fit(train_images, train_labels, seed=0, **limits)

    print("\nLeaderboard (accuracy on held-out training images):")
    show_leaderboard(classifier)

    out.mkdir(parents=True, exist_ok=True)
    report = classifier.report(out / "report.html")
    saved = classifier.save(out / "digits.autodl")

    accuracy = classifier.evaluate(test_images, test_labels)["accuracy"]
    loaded = ImageClassification.load(saved)
    same = np.allclose(loaded.predict_proba(test_images), classifier.predict_proba(test_images), atol=1e-5)

    print(f"\ntest accuracy  {accuracy:.4f}")
    print(f"predictor      {saved}, predicts {'the same' if same else 'OTHERWISE'} after loading")
    print(f"report         {report}, opens offline")
    print(f"time           {time.perf_counter() - started:.0f} s")
    if not same:
        print("the saved predictor differs from the fitted one", file=sys.stderr)
        return 1
    if accuracy < LEAST_ACCURACY:
        print(f"test accuracy {accuracy:.4f} is below {LEAST_ACCURACY}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fit an image classifier to scikit-learn's digits.")
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds that the fit may take")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="where to write")
    options = parser.parse_args()
    sys.exit(main(options.out, time_limit=options.time_limit))
