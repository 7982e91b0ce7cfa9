from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autodl.errors import ExportError, MissingDependencyError, OptionError
from autodl.models import export
from autodl.models.export import PixelsToProbabilities, export_network
from autodl.models.network import build_network

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in export.ONNX_LIBRARIES), reason="needs autodl[onnx]"
)


def trained_net() -> nn.Module:
    """A small network as training leaves it: in train mode, channels last, with moved statistics."""
    net = build_network("small_resnet", 3, input_size=8, width=4, stages=2, dropout=0.5, seed=0)
    net(torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    return net.to(memory_format=torch.channels_last)


@pytest.fixture
def pixels() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8, generator=generator)


def test_pt2_is_read_back_with_any_batch(tmp_path: Path, pixels: Tensor) -> None:
    net = PixelsToProbabilities(trained_net())  # type: ignore[arg-type]
    report = export_network(net, pixels, tmp_path / "net.pt2")
    assert report.format == "pt2"
    assert report.max_abs_diff < 1e-5
    assert net.training, "the caller's network must stay as it was"
    program = torch.export.load(report.path).module()
    batch = pixels.repeat(5, 1, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(program(batch), net.eval()(batch))
        torch.testing.assert_close(program(batch).sum(1), torch.ones(5))


@needs_onnx
def test_onnx_is_read_back_with_any_batch(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    net, x = trained_net(), torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    report = export_network(net, x, tmp_path / "net.onnx")
    assert report.max_abs_diff < 1e-4
    session = onnxruntime.InferenceSession(report.path, providers=["CPUExecutionProvider"])
    batch = x.repeat(4, 1, 1, 1)
    given = session.run(None, {export.INPUT_NAME: batch.numpy()})[0]
    with torch.no_grad():
        np.testing.assert_allclose(given, net.eval()(batch).numpy(), atol=1e-4)
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"], "one file, no data beside it"


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "ONNX_LIBRARIES", ("no_such_library",))
    with pytest.raises(MissingDependencyError, match=r"no_such_library: pip install 'autodl\[onnx\]'"):
        export_network(nn.Linear(2, 2), torch.zeros(1, 2), tmp_path / "net.onnx")


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"'net\.pth'.*\.pt2 or \.onnx"):
        export_network(nn.Linear(2, 2), torch.zeros(1, 2), tmp_path / "net.pth")


class Undecided(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1 if float(x.sum()) > 0 else x


def test_what_cannot_be_exported_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="Undecided cannot be exported as pt2"):
        export_network(Undecided(), torch.ones(1, 2), tmp_path / "net.pt2")
    assert not list(tmp_path.iterdir())


def test_a_file_that_answers_otherwise_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = export._export_pt2

    def off_by_a_tenth(module: nn.Module, example: Tensor, path: Path) -> export._Runner:
        run = real(module, example, path)
        return lambda batch: run(batch) + 0.1

    monkeypatch.setattr(export, "_export_pt2", off_by_a_tenth)
    with pytest.raises(ExportError, match=r"other outputs .*largest difference 0\.1"):
        export_network(nn.Linear(2, 2), torch.zeros(1, 2), tmp_path / "net.pt2")
    assert not list(tmp_path.iterdir())
