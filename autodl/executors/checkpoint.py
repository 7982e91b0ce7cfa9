"""A trial's checkpoint: one file, replaced as a whole, loaded without running code from it."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

from autodl.errors import TrialError

CHECKPOINT_NAME = "checkpoint.pt"
BEFORE_SUFFIX = ".before"
"""Of the checkpoint before one whose epoch was not reported yet; empty if there was none."""


def save_checkpoint(path: Path, epoch: int, state: Any, *, check: bool, keep_before: bool = False) -> None:
    """Write (epoch, state) so that a reader sees the old file or the new one, never a part.

    Args:
        path: the file to replace.
        epoch: epochs done when `state` was taken.
        state: tensors, arrays, numbers, strings, containers.
        check: read the new file back first; costs a load, finds what could not be loaded later.
        keep_before: keep the old file too, until `forget_before` or `go_back`.

    Raises:
        TrialError: `state` could not be loaded again.
        OSError: the disk is full; the old file stays.
    """
    import torch  # noqa: PLC0415  # only trials that save need torch

    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            torch.save({"epoch": epoch, "state": state}, file)
            file.flush()
            os.fsync(file.fileno())
        if check:
            _read(partial)
        if keep_before:
            _keep_before(path)
        os.replace(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if _is_full_disk(error):
            raise OSError(28, f"no space left for the checkpoint {path}") from error
        raise


def _keep_before(path: Path) -> None:
    """Give the old file a second name; at every moment it has one of the two."""
    before = before_of(path)
    partial = before.with_name(f"{before.name}.{os.getpid()}.part")
    try:
        os.link(path, partial)
    except FileNotFoundError:
        partial.touch()
    except OSError:  # a file system without links
        shutil.copyfile(path, partial)
    os.replace(partial, before)


def before_of(path: Path) -> Path:
    """Where the checkpoint before an unreported one is kept."""
    return path.with_name(path.name + BEFORE_SUFFIX)


def forget_before(path: Path) -> None:
    """The epoch of the checkpoint was reported: nobody needs the one before."""
    before_of(path).unlink(missing_ok=True)


def go_back(path: Path) -> None:
    """Put the checkpoint before in place of one whose epoch was never reported, if one is kept."""
    before = before_of(path)
    if not before.exists():
        return
    if before.stat().st_size:
        os.replace(before, path)
    else:
        path.unlink(missing_ok=True)
        before.unlink()


def load_checkpoint(path: Path) -> tuple[int, Any] | None:
    """(epoch, state) of the last save, tensors on the CPU; None when there is no checkpoint."""
    if not path.exists():
        return None
    content = _read(path)
    return int(content["epoch"]), content["state"]


def _read(path: Path) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415

    dtypes = {type(np.dtype(kind)) for kind in "?bBhHiIlLqQefdgFDGSU"}
    allowed = [np.ndarray, np.dtype, *dtypes, *_numpy_rebuilders()]
    try:
        with torch.serialization.safe_globals(allowed):
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise TrialError(
            "reporter.save() takes tensors, arrays, numbers, strings and containers of them "
            f"(state_dict()s), so that loading never runs code: {str(error).splitlines()[0]}"
        ) from error
    return content


def _numpy_rebuilders() -> list[Any]:
    """The functions that numpy's own pickles name: of an array and of a scalar."""
    import numpy as np  # noqa: PLC0415

    return [np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0]]


def _is_full_disk(error: BaseException) -> bool:
    """Torch wraps the operating system's error in a RuntimeError of its own."""
    return isinstance(error, RuntimeError) and "No space left" in str(error)
