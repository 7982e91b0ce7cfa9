from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch
from torch import nn

from autodl.errors import PredictorFormatError, WeightsUnavailableError
from autodl.models import weights_io
from autodl.models.weights_io import load_weights, mismatches, read_weights, save_weights, write_atomically


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("was_run",)


def test_round_trip_of_every_memory_format_and_shared_storage(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3))
    net[3].weight = net[2].weight
    net = net.to(memory_format=torch.channels_last)
    save_weights(net.state_dict(), tmp_path / "w.safetensors", {"version": "1"})
    twin = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3))
    assert load_weights(twin, tmp_path / "w.safetensors") == {"version": "1"}
    for key, value in net.state_dict().items():
        assert torch.equal(twin.state_dict()[key], value), key


def test_a_writer_that_dies_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w"
    write_atomically(path, b"old")

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["w"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_written_files_are_as_readable_as_the_umask_says(tmp_path: Path) -> None:
    write_atomically(tmp_path / "w", b"x")
    (tmp_path / "plain").write_bytes(b"x")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("w", "plain")]
    assert modes[0] == modes[1]


def test_a_predictors_weights_must_fit(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(nn.Linear(2, 3).state_dict(), path)
    with pytest.raises(PredictorFormatError, match=r"bias \(3,\) instead of \(4,\)"):
        load_weights(nn.Linear(2, 4), path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(PredictorFormatError, match="cannot read"):
        load_weights(nn.Linear(2, 3), path)
    with pytest.raises(PredictorFormatError, match="cannot read"):
        load_weights(nn.Linear(2, 3), tmp_path / "absent.safetensors")


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {"model": s, "epoch": 3}]
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_checkpoints_of_others_are_opened(tmp_path: Path, wrap: object, prefix: str) -> None:
    state = {f"{prefix}{k}": v for k, v in nn.Linear(2, 3).state_dict().items()}
    torch.save(wrap(state), tmp_path / "w.pt")  # type: ignore[operator]
    assert set(read_weights(tmp_path / "w.pt")) == {"weight", "bias"}


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Evil()}, "w.pth")
    with pytest.raises(WeightsUnavailableError, match="without running code"):
        read_weights(Path("w.pth"))
    assert not Path("was_run").exists()


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailableError, match="no weights file at"):
        read_weights(tmp_path / "absent.pth")
    (tmp_path / "w.h5").write_bytes(b"x")
    with pytest.raises(WeightsUnavailableError, match=r"expected \.pth, \.pt, \.safetensors"):
        read_weights(tmp_path / "w.h5")
    for name in ("w.pth", "w.safetensors"):
        for content in (b"", b"garbage"):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(WeightsUnavailableError, match="cannot read the weights"):
                read_weights(tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(WeightsUnavailableError, match="no plain state dict"):
        read_weights(tmp_path / "list.pt")


def test_long_lists_of_keys_are_cut() -> None:
    wanted = {f"k{i}": torch.zeros(1) for i in range(20)}
    clauses = mismatches(wanted, {"other": torch.zeros(1)}, show=2)
    assert clauses == ["20 missing: k0, k1 and 18 more", "1 unexpected: other"]
    assert weights_io.mismatches(wanted, wanted) == []
