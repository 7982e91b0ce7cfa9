import json

import pytest

from autodl.cli import machine
from autodl.models import pretrained
from tests.cli import made


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr(pretrained, "unreachable", lambda url, timeout_s: f"no route within {timeout_s:g} s")


def test_findings_for_scripts():
    done = made.run("doctor", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["problems"] == []
    assert found["versions"]["torch"].startswith(found["versions"]["torch"].split(".")[0])
    assert "cpu" in found["devices"]
    assert found["threads"]["torch"] >= 1 and found["threads"]["cores"] >= 1
    assert found["hub"] == {"reachable": False, "reason": "no route within 2 s"}
    assert set(found["extras"]) == {"pretrained", "onnx"}
    assert found["extras"]["pretrained"] == ("efficientnet_lite2" in found["pretrained"])


def test_findings_for_people():
    done = made.run("doctor")
    assert done.exit_code == 0
    assert "training works offline" in done.stdout
    for name in ("autodl", "python", "libraries", "device", "threads", "precision", "pretrained", "extras"):
        assert any(line.startswith(name) for line in done.stdout.splitlines()), name


def test_a_broken_torch_is_found_and_exits_with_1(monkeypatch):
    def broken():
        raise ImportError("libcudart.so is missing")

    monkeypatch.setattr(machine, "_examine_torch", broken)
    done = made.run("doctor")
    assert done.exit_code == 1
    assert "PROBLEM" in done.stdout and "libcudart.so is missing" in done.stdout
    assert "Traceback" not in done.output


def test_a_missing_library_is_found(monkeypatch):
    monkeypatch.setattr(machine, "LIBRARIES", ("torch", "no-such-library"))
    monkeypatch.setattr(machine, "_examine_torch", dict)
    found = machine.examine()
    assert found["versions"]["no-such-library"] is None
    assert found["problems"] == ["not installed: no-such-library"]


def test_flags_of_the_processor(tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("model name : X\nflags\t\t: fpu avx2 avx512_bf16\nflags : other\n")
    assert machine.cpu_flags(info) == {"fpu", "avx2", "avx512_bf16"}
    assert machine.cpu_flags(tmp_path / "missing") == frozenset()
