"""What an `ImageClassifier` can tell of itself: history, leaderboard, plots, explanations, files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from autodl.data import ClassMap
from autodl.data.scan import read_all
from autodl.errors import OptionError, PredictorFormatError, UnknownNameError
from autodl.models import export_network, grad_cam
from autodl.report import plot as plot_run
from autodl.report.from_run import library_versions
from autodl.tasks.ensemble_network import Branch, EnsembleNetwork
from autodl.tasks.image_fit import FitOutcome
from autodl.tasks.image_predictor import ImagePredictor
from autodl.tasks.image_request import class_array
from autodl.training import confusion_matrix, get_metric

if TYPE_CHECKING:
    from autodl.tasks.image_classifier import ImageClassifier

SEARCH_PLOTS = ("curves", "incumbent", "importance", "parallel", "slices", "timeline")


def history(outcome: FitOutcome) -> dict[str, Any]:
    """What a fit did, JSON-able; it is saved with the predictor."""
    result, data, selection = outcome.result, outcome.data, outcome.selection
    shares = dict(zip((m.trial_id for m in selection.members), selection.weights, strict=True))
    table = result.leaderboard()
    table.insert(3, "weight", [shares.get(trial_id, 0.0) for trial_id in table["trial_id"]])
    validation = int((data.folds >= 0).sum())
    return {
        "metric": result.metric,
        "mode": result.mode,
        "validation_score": _plain(selection.value),
        "best_trial_score": _plain(selection.best_single),
        "validated_on": len(selection.rows),
        "num_trials": len(result.trials),
        "stopped_by": result.stopped_by,
        "seconds": outcome.seconds,
        "images": len(data.labels),
        "images_held_out": validation,
        "images_skipped": data.audit.total - len(data.audit.kept),
        "classes": list(data.class_map.names),
        "ensemble": [
            {"trial_id": m.trial_id, "network": m.network.name, "weight": w}
            for m, w in zip(selection.members, selection.weights, strict=True)
        ],
        "architecture": None if outcome.architecture is None else outcome.architecture.summary(),
        "augmentation": outcome.augmentation.to_json(),
        "leaderboard": [
            {str(k): _plain(v) for k, v in row.items()} for row in table.to_dict(orient="records")
        ],
    }


def _plain(value: Any) -> Any:
    """A table's cell as JSON holds it: what is missing is None."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value


def leaderboard(record: Mapping[str, Any]) -> pd.DataFrame:
    """The history's table; a fitted and a loaded classifier show the same."""
    rows = record["leaderboard"]
    return pd.DataFrame({name: _column([row[name] for row in rows]) for name in rows[0]})


def _column(values: list[Any]) -> pd.Series:
    """Keeps whole numbers whole and bools true where some are missing."""
    kinds = {type(value) for value in values if value is not None}
    whole = "Int64" if None in values else "int64"
    dtypes = {frozenset({int}): whole, frozenset({bool}): "boolean"}
    dtype = dtypes.get(frozenset(kinds), "float64" if kinds and kinds <= {int, float} else "object")
    return pd.Series(values, dtype=dtype)


def plot(classifier: ImageClassifier, kind: str) -> Figure:
    """One figure; see `ImageClassifier.plot`."""
    if kind not in (*SEARCH_PLOTS, "confusion"):
        raise UnknownNameError("kind of plot", kind, (*SEARCH_PLOTS, "confusion"))
    classifier._check_fitted()
    if not hasattr(classifier, "result_"):
        raise OptionError("a loaded classifier has no trials to plot; plot before saving, or write a report")
    if kind == "confusion":
        return _confusion(classifier)
    return plot_run(kind, classifier.result_)


def _confusion(classifier: ImageClassifier) -> Figure:
    """Counts of the held-out images, rows: true classes."""
    selection, data = classifier.selection_, classifier.data_
    counts = confusion_matrix(data.labels[selection.rows], selection.probs)
    names = data.class_map.names
    side = max(3.0, min(12.0, 1.5 + 0.45 * len(names)))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="true", xticks=range(len(names)), yticks=range(len(names)))
    axes.set_xticklabels(names, rotation=45, ha="right")
    axes.set_yticklabels(names)
    if len(names) <= 20:
        for (row, column), count in np.ndenumerate(counts):
            dark = counts[row, column] > 0.5 * max(1, counts[row].sum())
            axes.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black")
    return figure


def explain(classifier: ImageClassifier, image: Any, label: Any) -> Figure:
    """The image, and where the strongest network looked; see `ImageClassifier.explain`."""
    classifier._check_fitted()
    predictor = classifier.predictor_
    table = classifier._read([image] if isinstance(image, np.ndarray) else image)
    if len(table) != 1:
        raise OptionError(f"explain takes one image, got {len(table)}")
    size = predictor.cache_size
    pixels = np.empty((1, size, size, 3), np.uint8)
    read_all(table, size=size, out=pixels, on_bad_image="raise")
    probs = predictor.predict_pixels(pixels)[0]
    number = int(probs.argmax())
    if label is not None:
        number = int(predictor.class_map.encode([label], where="label")[0])
    branch = strongest_branch(predictor.network)
    images = next(iter(predictor.batches(pixels)))
    heat = grad_cam(branch.as_classifier(), branch.normalise(images), number)
    shown = images[0].permute(1, 2, 0).cpu().numpy()
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(shown)
    right.imshow(shown)
    right.imshow(heat, cmap="inferno", alpha=0.5, vmin=0, vmax=1)
    name = predictor.class_map.names[number]
    left.set_title(table.names[0][-40:])
    right.set_title(f"{name}: {probs[number]:.1%}")
    for axes in (left, right):
        axes.set_axis_off()
    return figure


def strongest_branch(network: EnsembleNetwork) -> Branch:
    """The branch with the largest share."""
    branches: list[Branch] = list(network.branches)  # type: ignore[arg-type]  # all are Branch
    return max(branches, key=lambda b: sum(b.spec.weights))


def facts_to_save(classifier: ImageClassifier) -> dict[str, Any]:
    """What a predictor's file holds besides the network."""
    predictor = classifier.predictor_
    return {
        "task": "image_classification",
        "classes": predictor.class_map.to_json(),
        "facts": {key: predictor.facts.get(key) for key in ("input_size", "cache_size", "pixel_range")},
        "metric": classifier.metric_name_,
        "history": classifier.history_,
        "versions": library_versions(),
    }


Estimator = TypeVar("Estimator", bound="ImageClassifier")


def restore(
    cls: type[Estimator], network: EnsembleNetwork, document: Mapping[str, Any], path: Path
) -> Estimator:
    """A classifier from what `facts_to_save` kept."""
    try:
        class_map = ClassMap.from_json(document["classes"])
        predictor = ImagePredictor(network, class_map, document["facts"])
        classifier = cls(metric=_known_metric(document["metric"]))
        classifier.history_ = dict(document["history"])
        classifier.validation_score_ = float(document["history"]["validation_score"])
        classifier.fit_seconds_ = float(document["history"]["seconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise PredictorFormatError(f"{path} is damaged: {type(error).__name__}: {error}") from error
    classifier.predictor_ = predictor
    classifier.classes_ = class_array(class_map)
    return classifier


def _known_metric(name: str) -> str:
    """A callable metric of the author's is not in the file; accuracy stands in for it."""
    try:
        get_metric(name)
    except UnknownNameError:
        return "accuracy"
    return name


def export(classifier: ImageClassifier, path: Path) -> Path:
    """Write the ensemble as one network; see `ImageClassifier.export`."""
    predictor = classifier.predictor_
    generator = torch.Generator().manual_seed(0)
    size = predictor.input_size
    example = torch.rand(2, 3, size, size, generator=generator)
    export_network(predictor.network.to("cpu"), example, path)
    predictor.network.to(predictor.device)
    return path
