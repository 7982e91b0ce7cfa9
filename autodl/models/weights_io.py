"""Weights on disk: safetensors written atomically; checkpoints of others read without unpickling code."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from autodl.errors import PredictorFormatError, WeightsUnavailableError
from autodl.models.parts import State

SUFFIXES = (".pth", ".pt", ".safetensors")


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file so that a reader sees the old one or the whole new one, never a part.

    Raises:
        OSError: the disk is full or not writable; the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".tmp-", suffix=path.suffix)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; a saved model is as readable as any file of the user's.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def save_weights(state: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Saves a state dict as safetensors, atomically.

    Args:
        state: tensors on any device, in any memory format; shared storage is written twice.
        path: the file.
        metadata: strings to keep in the header.
    """
    tensors = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in state.items()}
    write_atomically(Path(path), save(tensors, dict(metadata) if metadata else None))


def load_weights(module: nn.Module, path: Path) -> dict[str, str]:
    """Loads what `save_weights` wrote into a module of the same shape, strictly.

    Returns:
        The header's metadata.

    Raises:
        PredictorFormatError: the file is missing, damaged, or does not fit the module.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise PredictorFormatError(f"cannot read the weights {path}: {error}") from error
    problems = mismatches(module.state_dict(), state)
    if problems:
        raise PredictorFormatError(f"the weights {path} do not fit the network: {'; '.join(problems)}")
    module.load_state_dict(state)
    return metadata


def read_weights(path: Path) -> State:
    """The tensors of a .pth, .pt or .safetensors file; nothing in it is executed.

    A checkpoint that keeps its tensors under "state_dict", "model" or "model_state_dict" is opened,
    and the "module." that DataParallel puts before each key is taken off.

    Raises:
        WeightsUnavailableError: no such file, another format, damaged, or more than tensors in it.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise WeightsUnavailableError(f'no weights file at {path}; pass a path to one, "pretrained", or None')
    if path.suffix.lower() not in SUFFIXES:
        raise WeightsUnavailableError(f"cannot tell the format of {path}: expected {', '.join(SUFFIXES)}")
    try:
        if path.suffix.lower() == ".safetensors":
            loaded = load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler fails on damaged bytes with whatever they make it do
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsUnavailableError(
            f"cannot read the weights {path} without running code: {first}"
        ) from error
    return _tensors(loaded, path)


def _tensors(loaded: object, path: Path) -> State:
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise WeightsUnavailableError(f"{path} holds no plain state dict (names to tensors)")
    return {str(k).removeprefix("module."): v for k, v in loaded.items()}


def mismatches(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], *, show: int = 8) -> list[str]:
    """What keeps ``given`` from being loaded as ``wanted``: a list of clauses, empty when it fits."""
    missing = [k for k in wanted if k not in given]
    unexpected = [k for k in given if k not in wanted]
    shapes = [
        f"{k} {tuple(given[k].shape)} instead of {tuple(wanted[k].shape)}"
        for k in wanted
        if k in given and given[k].shape != wanted[k].shape
    ]
    named = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
    return [f"{len(keys)} {what}: {_shortened(keys, show)}" for what, keys in named if keys]


def _shortened(keys: list[str], show: int) -> str:
    rest = f" and {len(keys) - show} more" if len(keys) > show else ""
    return ", ".join(keys[:show]) + rest
