"""From a caller's arguments to a checked `FitRequest`; and what a caller's data looks like."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image

from autodl.data import ClassMap, ImageTable, read_images
from autodl.data.arrays import is_stack
from autodl.data.sources import as_array
from autodl.errors import (
    DataError,
    LabelError,
    OptionError,
    RunExistsError,
    StorageError,
)
from autodl.tasks import arch_record, augment_record, run_file
from autodl.tasks.arch_options import as_nas_options
from autodl.tasks.image_checks import check_params
from autodl.tasks.image_fit import FitRequest
from autodl.tasks.image_plan import Wishes
from autodl.tasks.open_network import as_factory
from autodl.tasks.options import TrainingOptions, ValidationOptions, as_group, get_preset
from autodl.timelimit import parse_time_limit
from autodl.training import get_metric

DEFAULT_METRICS = ("accuracy", "f1_macro")


def make_request(
    params: Mapping[str, Any],
    data: Any,
    *,
    tuning_data: Any,
    columns: tuple[str | None, str | None],
    resume: bool,
    callbacks: Sequence[object],
    started_at: float,
) -> FitRequest:
    """Check every argument before anything slow happens.

    Args:
        params: the classifier's parameters.
        data: anything `read_images` reads; None to resume from the run directory alone.
        tuning_data: likewise, or None.
        columns: label and image column of tables.
        resume: go on with the run at ``params["path"]``.
        callbacks: for the tuner.
        started_at: ``time.time()`` of the call.

    Raises:
        OptionError: an argument has a value that is not allowed.
        RunExistsError: the path holds a run and `resume` is not set.
    """
    preset = get_preset(params["presets"])
    check_params(params)
    nas = as_nas_options(params["nas"])
    space = as_factory(params["net"], searched=nas is not None)
    train, tuning = (None, None) if data is None else _tables(data, tuning_data, columns)
    return FitRequest(
        train=train,
        tuning=tuning,
        wishes=Wishes(
            net=params["net"] if space is None else space,
            weights=params["weights"],
            optimizer=params["optimizer"],
            augment=params["augment"],
            input_size=params["input_size"],
        ),
        nas=nas,
        preset=preset,
        metric=get_metric(params["metric"]),
        training=as_group(TrainingOptions, params["training"]),
        validation=as_group(ValidationOptions, params["validation"]),
        time_limit_s=time_limit_of(params),
        num_trials=params["num_trials"],
        epochs=params["epochs"],
        batch_size=params["batch_size"],
        class_weight=params["class_weight"],
        searcher=params["searcher"],
        scheduler=params["scheduler"],
        executor=params["executor"],
        num_workers=params["num_workers"],
        seed=int(params["seed"]),
        path=_run_path(params, resume),
        resume=resume,
        on_bad_image=params["on_bad_image"],
        verbosity=params["verbosity"],
        callbacks=tuple(callbacks),
        started_at=started_at,
    )


def time_limit_of(params: Mapping[str, Any]) -> float | None:
    """Seconds for the whole fit; the preset's if the caller limits neither time nor trials."""
    limit = parse_time_limit(params["time_limit"])
    if limit is None and params["num_trials"] is None:
        return get_preset(params["presets"]).time_limit_s
    return limit


def _tables(
    data: Any, tuning_data: Any, columns: tuple[str | None, str | None]
) -> tuple[ImageTable, ImageTable | None]:
    """The images to train on and to compare on; a data set's own train and val parts are kept apart."""
    label, image = columns
    table = read_images(data, label=label, image=image, labelled=True)
    tuning = None
    if table.splits:
        if tuning_data is None and "val" in table.splits:
            tuning = table.where_split("val")
        if "train" not in table.splits:
            raise DataError(
                f"{table.origin} has the parts {', '.join(table.splits)} but no train part to learn from"
            )
        table = table.where_split("train")
    if tuning_data is not None:
        tuning = read_images(
            tuning_data, label=label, image=image, labelled=True, pixel_range=table.pixel_range
        )
        missing = sum(item.label is None for item in tuning.items)
        if missing:
            raise LabelError(f"{missing} of {len(tuning)} images of tuning_data have no label")
    return table, tuning


def _run_path(params: Mapping[str, Any], resume: bool) -> Path:
    """The run's directory, made and described; a temporary one lives as long as this process."""
    if params["path"] is None:
        if resume:
            raise OptionError("to resume a run, name its directory: path=...")
        folder = tempfile.TemporaryDirectory(prefix="autodl-", ignore_cleanup_errors=True)
        path = Path(folder.name)
        weakref.finalize(_TEMPORARY, folder.cleanup)
        return path
    path = Path(params["path"]).expanduser()
    if path.exists() and not path.is_dir():
        raise OptionError(f"path must be a directory for the run, {path} is a file")
    if not resume and run_file.exists(path):
        raise RunExistsError(
            f"{path} holds a run already; go on with it (ImageClassification.resume({str(path)!r})), "
            "or name another path"
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not resume:  # what a start that came to no trial settled, perhaps for other images
            for name in (augment_record.FILE, arch_record.FILE):
                (path / name).unlink(missing_ok=True)
        run_file.write(path, {**params, "time_limit": _whole_limit(path, params["time_limit"])})
    except OSError as error:
        raise StorageError(f"cannot write to the run's directory {path}: {error}") from error
    return path


def _whole_limit(path: Path, time_limit: Any) -> Any:
    """The limit of all sessions together, of which a later `resume` takes off the time that was spent."""
    limit, spent_s = parse_time_limit(time_limit), run_file.elapsed_s(path)
    return limit + spent_s if limit is not None and spent_s else time_limit


class _Temporary:
    """Anchors temporary run directories to the life of the process."""


_TEMPORARY = _Temporary()


def is_single_image(data: Any) -> bool:
    """Whether `predict` is asked about one image rather than a collection."""
    if isinstance(data, Image.Image | bytes):
        return True
    if isinstance(data, str | os.PathLike):
        path = Path(data)
        return not path.is_dir() and path.suffix.lower() in Image.registered_extensions()
    array = as_array(data) if isinstance(data, np.ndarray | torch.Tensor) else None
    return array is not None and array.dtype.kind not in "OUS" and not is_stack(array)


def is_named_collection(data: Any) -> bool:
    """Whether predictions are best looked up by the images' names (files, rows of a table)."""
    if isinstance(data, str | os.PathLike | ImageTable):
        return True
    return isinstance(data, pd.DataFrame)


def numbers_of(data: Any) -> Any:
    """The values of a DataFrame of pixels (one column a pixel); anything else as it is."""
    if isinstance(data, pd.DataFrame) and all(pd.api.types.is_numeric_dtype(t) for t in data.dtypes):
        return data.to_numpy()
    return data


def class_array(class_map: ClassMap) -> NDArray[Any]:
    """The labels as an array that keeps their types: objects if there are several types."""
    values = class_map.values
    if len({isinstance(value, str) for value in values}) == 1:
        return np.asarray(values)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def chosen_metrics(metrics: Any, of_the_fit: Any) -> tuple[Any, ...]:
    """What `evaluate` measures: the caller's one metric or several, or the usual ones."""
    if metrics is None:
        return (*DEFAULT_METRICS, of_the_fit)
    if isinstance(metrics, str) or callable(metrics):
        return (metrics,)
    return tuple(metrics)


def part_for_evaluation(table: ImageTable) -> ImageTable:
    """Of a data set with parts the test part, else val; a data set without parts as it is."""
    for part in ("test", "val"):
        if part in table.splits:
            return table.where_split(part)
    return table
