"""Tables of images: CSV and parquet files, DataFrames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from autodl.data.arrays import label_list
from autodl.data.formats import HEAD_BYTES, has_image_suffix, looks_like_image
from autodl.data.layout import SPLIT_NAMES, printable
from autodl.data.sources import as_source
from autodl.data.table import ImageItem, ImageTable, name_some
from autodl.errors import DataError, DataNotFoundError, LabelError

LABEL_COLUMNS = (
    "label",
    "labels",
    "class",
    "target",
    "category",
    "y",
    "class_name",
    "label_name",
    "class_label",
    "species",
)
"""Names tried for the label column, in this order, whatever their case."""
IMAGE_COLUMNS = (
    "image",
    "img",
    "image_path",
    "img_path",
    "path",
    "file",
    "filepath",
    "file_path",
    "filename",
    "file_name",
    "image_name",
    "image_file",
    "photo",
    "picture",
    "image_bytes",
    "bytes",
)
"""Names tried for the image column, in this order, whatever their case."""
_NAME_COLUMNS = ("file", "filename", "file_name", "path", "image_path", "name", "image_id", "id")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns mean what.

    Args:
        image: paths, encoded bytes, arrays or PIL images.
        label: the classes; None if there are none.
        split: "train", "val", "test"; None if there are none.
        name: what to call the rows; None: the path, or the row's number.
    """

    image: str
    label: str | None
    split: str | None
    name: str | None


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV or TSV file, every cell as text, so that names like "007" stay what they are.

    Raises:
        DataError: it is no such file, or holds no row.
    """
    try:
        with path.open(encoding="utf-8-sig") as stream:
            header = stream.readline()
        separator = max(",;\t|", key=header.count)
        has_header = not any(has_image_suffix(cell.strip(' "\r\n')) for cell in header.split(separator))
        frame = pd.read_csv(
            path,
            sep=separator,
            header=0 if has_header else None,
            dtype=str,
            encoding="utf-8-sig",
            keep_default_na=False,  # a class may be called "None" or "NA"
            na_values=["", "nan", "NaN"],
            skipinitialspace=True,
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path} cannot be read as a table: {str(error)[:300]}; is it UTF-8 text?") from error
    return frame


def read_parquet(path: Path) -> pd.DataFrame:
    """A parquet file.

    Raises:
        DataError: it is no such file.
    """
    try:
        return pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet: {str(error)[:300]}") from error


def find_columns(
    frame: pd.DataFrame, *, label: str | None, image: str | None, labelled: bool | None, origin: str
) -> Columns:
    """Find the columns, as named or by guess.

    A column that is named is taken. Otherwise the image column is the first of `IMAGE_COLUMNS` that
    holds images or names of image files, or the first that is there, or the only one of another
    name that holds such; the label column is the first
    of `LABEL_COLUMNS`, or the other one where there are just two. A column "split" is used if all
    its values are names of splits.

    Raises:
        DataError: no image column; the message lists the columns.
        LabelError: no label column and `labelled` is true, or one was named that is not there.
    """
    names = list(frame.columns)
    listed = ", ".join(names) or "none"
    if len(set(names)) < len(names):
        raise DataError(f"{origin} has several columns of one name; columns: {listed}")
    if image is not None and image not in names:
        raise DataError(f"{origin} has no column {image!r}; columns: {listed}")
    if label is not None and label not in names:
        raise LabelError(f"{origin} has no label column {label!r}; columns: {listed}")
    split = _find_split(frame, names, {image, label})
    image = image or _find_image(frame, [name for name in names if name not in (label, split)])
    if image is None:
        raise DataError(f"which column of {origin} holds the images? Name it: image=...; columns: {listed}")
    others = [name for name in names if name not in (image, split)]
    if labelled is False:
        label = None
    elif label is None:
        label = _match(others, LABEL_COLUMNS) or (others[0] if len(others) == 1 else None)
        if label is None and (labelled or others):
            raise LabelError(
                f"which column of {origin} holds the labels? Name it: label=...; columns: {listed}"
            )
    return Columns(image, label, split, _match([n for n in others if n != label], _NAME_COLUMNS))


def _match(names: list[str], wanted: tuple[str, ...]) -> str | None:
    by_lower = {name.strip().lower(): name for name in reversed(names)}
    return next((by_lower[name] for name in wanted if name in by_lower), None)


def _find_image(frame: pd.DataFrame, names: list[str]) -> str | None:
    fitting = [name for name in names if _holds_images(frame[name])]
    if (named := _match(fitting, IMAGE_COLUMNS) or _match(names, IMAGE_COLUMNS)) is not None:
        return named
    return fitting[0] if len(fitting) == 1 else None


def _holds_images(column: pd.Series[Any]) -> bool:
    values = column.dropna().head(20).tolist()
    return bool(values) and all(_is_image_cell(value) for value in values)


def _is_image_cell(value: object) -> bool:
    if isinstance(value, str):
        return has_image_suffix(value)
    if isinstance(value, bytes):
        return looks_like_image(value[:HEAD_BYTES])
    if isinstance(value, Mapping):
        return bool({"bytes", "path"} & set(value))
    return isinstance(value, (Path, Image.Image)) or (isinstance(value, np.ndarray) and value.ndim >= 2)


def _find_split(frame: pd.DataFrame, names: list[str], taken: set[str | None]) -> str | None:
    name = _match([name for name in names if name not in taken], ("split", "subset", "partition", "fold"))
    if name is None or not len(frame):
        return None
    values = frame[name].tolist()
    return name if all(isinstance(v, str) and v.strip().lower() in SPLIT_NAMES for v in values) else None


def read_frame(  # where the table comes from, and three ways to say which columns
    frame: pd.DataFrame,
    *,
    label: str | None = None,
    image: str | None = None,
    labelled: bool | None = None,
    base: Path | None = None,
    origin: str = "the DataFrame",
) -> ImageTable:
    """The images of a DataFrame, a row each; for the columns see `find_columns`.

    Args:
        frame: the table.
        label: the label column.
        image: the image column.
        labelled: whether there must be labels; None: if there are any.
        base: the folder that relative paths start from; None: the current one.
        origin: for messages.

    Raises:
        DataError: see `find_columns`.
        DataNotFoundError: none of the files that the table names exists.
    """
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    columns = find_columns(frame, label=label, image=image, labelled=labelled, origin=origin)
    cells = frame[columns.image].tolist()
    sources = [as_source(cell, base) for cell in cells]
    _check_some_exist([source for source in sources if isinstance(source, Path)], base, origin)
    labels: list[Any] = [None] * len(frame)
    if columns.label is not None:
        labels = label_list(_without_text_numbers(frame[columns.label]), len(frame), origin)
    splits: list[str | None] = [None] * len(frame)
    if columns.split is not None:
        splits = [SPLIT_NAMES[value.strip().lower()] for value in frame[columns.split]]
    names = _row_names(frame, columns, cells)
    rows = zip(names, sources, labels, splits, strict=True)
    return ImageTable(tuple(ImageItem(*row) for row in rows), origin)


def _row_names(frame: pd.DataFrame, columns: Columns, cells: list[Any]) -> list[str]:
    if columns.name is not None:
        return [printable(str(value)) for value in frame[columns.name]]
    named = []
    for row, cell in enumerate(cells):
        path = cell.get("path") if isinstance(cell, Mapping) else cell
        named.append(printable(str(path)) if isinstance(path, (str, Path)) and str(path) else f"row {row}")
    return named


def _without_text_numbers(column: pd.Series[Any]) -> list[Any]:
    """The values; where they are all plain whole numbers as text ("3", not "03"), as numbers."""
    values = [None if isinstance(value, float) and np.isnan(value) else value for value in column.tolist()]
    present = {value for value in values if value is not None}
    if not all(isinstance(v, str) and v.isascii() and v.isdigit() and str(int(v)) == v for v in present):
        return values
    return [None if value is None else int(value) for value in values]


def _check_some_exist(paths: list[Path], base: Path | None, origin: str, most: int = 200) -> None:
    sample = paths[:: max(1, len(paths) // most)]
    if not sample or any(path.exists() for path in sample):
        return
    start = base if base is not None else Path.cwd()
    raise DataNotFoundError(
        f"{origin} names {len(paths)} image files, but of {len(sample)} looked for none exists, "
        f"{name_some([str(sample[0])], 1)} first; relative paths start from {start}"
    )
