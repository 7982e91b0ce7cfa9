"""Networks as files other programs run: torch.export's .pt2 and ONNX, each checked before it is kept."""

from __future__ import annotations

import copy
import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from autodl.errors import ExportError, MissingDependencyError, OptionError
from autodl.models.classifier import Classifier
from autodl.models.weights_io import write_atomically

INPUT_NAME = "images"
OUTPUT_NAME = "outputs"
ONNX_LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
CHECKED_BATCHES = (1, 3)

_Runner = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written, and how far its outputs are from the original's.

    Args:
        path: the file.
        format: "pt2" or "onnx".
        max_abs_diff: largest absolute difference of an output, over the checked batches.
    """

    path: Path
    format: str
    max_abs_diff: float


class PixelsToProbabilities(nn.Module):
    """A classifier with its normalisation before it and the softmax behind it.

    Input: (n, c, h, w), uint8 or float pixels in [0, 255], cropped to the network's input size.
    Output: float32 (n, num_classes), rows sum to 1.
    """

    def __init__(self, net: Classifier) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, c, h, w) pixels to (n, num_classes) probabilities."""
        return torch.softmax(self.net(self.net.preprocessing.normalise(pixels)), dim=1)


def export_network(
    module: nn.Module, example: Tensor, path: Path, *, tolerance: float = 1e-3
) -> ExportReport:
    """Exports a network in float32 eval mode on the CPU, with a batch of any size.

    The file is read back and run on batches of 1 and 3 before it takes its place at ``path``.

    Args:
        module: the network; it is not changed.
        example: (n, ...), an input; its values are used for the check too.
        path: ends in ".pt2" (`torch.export.load` reads it) or ".onnx".
        tolerance: largest difference allowed, as a share of the largest output.

    Raises:
        OptionError: another suffix.
        MissingDependencyError: ONNX without the ``[onnx]`` extra.
        ExportError: the network cannot be exported, or the file gives other outputs.
    """
    path = Path(path)
    exporters = {"pt2": _export_pt2, "onnx": _export_onnx}
    form = path.suffix.lower().removeprefix(".")
    if form not in exporters:
        raise OptionError(f"cannot tell the export format of {path.name!r}: it must end in .pt2 or .onnx")
    if form == "onnx":
        _require_onnx()
    original = copy.deepcopy(module).cpu().float().to(memory_format=torch.contiguous_format).eval()
    example = example.detach().to("cpu").contiguous()
    # torch.export takes a batch of one for a constant.
    traced = example.repeat(2, *[1] * (example.dim() - 1)) if example.shape[0] < 2 else example
    with TemporaryDirectory() as folder:
        temporary = Path(folder, path.name)
        try:
            run = exporters[form](original, traced, temporary)
        except Exception as error:  # the exporters raise dozens of types, their own and the module's
            first = str(error).strip().split("\n")[0]
            raise ExportError(f"{type(module).__name__} cannot be exported as {form}: {first}") from error
        difference = _largest_difference(original, run, traced, tolerance, form)
        write_atomically(path, temporary.read_bytes())
    return ExportReport(path, form, difference)


def _dynamic_batch() -> tuple[dict[int, object]]:
    return ({0: torch.export.Dim("batch", min=1)},)


def _export_pt2(module: nn.Module, example: Tensor, path: Path) -> _Runner:
    program = torch.export.export(module, (example,), dynamic_shapes=_dynamic_batch())
    torch.export.save(program, path)
    run: _Runner = torch.export.load(path).module()
    return run


def _export_onnx(module: nn.Module, example: Tensor, path: Path) -> _Runner:
    import onnxruntime  # noqa: PLC0415  # the [onnx] extra, checked by the caller

    with _quiet_exporter():
        torch.onnx.export(
            module,
            (example,),
            path,
            dynamo=True,
            dynamic_shapes=_dynamic_batch(),
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            external_data=False,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(batch: Tensor) -> Tensor:
        return torch.from_numpy(session.run([OUTPUT_NAME], {INPUT_NAME: batch.numpy()})[0])

    return run


def _require_onnx() -> None:
    missing = [name for name in ONNX_LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"ONNX export needs {', '.join(missing)}: "
            "pip install 'autodl[onnx]' (or export to .pt2, which needs nothing more)"
        )


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silences what the ONNX exporter says about its own use of torch, which no caller can act on."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category in (DeprecationWarning, FutureWarning):
                for module in (r"torch\.", r"onnxscript\.", r"onnx_ir\.", "copyreg"):
                    warnings.filterwarnings("ignore", category=category, module=module)
            yield
    finally:
        logger.setLevel(level)


def _largest_difference(
    original: nn.Module, run: _Runner, example: Tensor, tolerance: float, form: str
) -> float:
    """The largest difference between the original and the file, on batches of other sizes than traced."""
    largest = 0.0
    with torch.no_grad():
        for size in CHECKED_BATCHES:
            batch = example.repeat(-(-size // len(example)), *[1] * (example.dim() - 1))[:size]
            expected, given = original(batch), run(batch)
            difference = float((expected - given).abs().max())
            allowed = tolerance * max(1.0, float(expected.abs().max()))
            if expected.shape != given.shape or not difference <= allowed:
                raise ExportError(
                    f"the {form} file gives other outputs than the network on a batch of {size}: largest "
                    f"difference {difference:.3g}, allowed {allowed:.3g}; nothing was written"
                )
            largest = max(largest, difference)
    return largest
