from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from autodl.errors import WeightsUnavailableError
from autodl.models import pretrained
from autodl.models.pretrained import hub_weights, package_weights, require_package_weights, unreachable

CONTENT = b"weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()[:8]


class Hub(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(404 if "absent" in self.path else 200)
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def serving() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_reachable_hub_is_downloaded_once(tmp_path: Path) -> None:
    with serving() as hub:
        path = hub_weights("net", f"{hub}/net-{DIGEST}.pth")
        assert path == tmp_path / "hub" / "checkpoints" / f"net-{DIGEST}.pth"
        assert path.read_bytes() == CONTENT
    assert hub_weights("net", f"{hub}/net-{DIGEST}.pth") == path, "the cache must do without the hub"


def test_a_damaged_download_is_not_kept(tmp_path: Path) -> None:
    with serving() as hub, pytest.raises(WeightsUnavailableError, match="damaged"):
        hub_weights("net", f"{hub}/net-00000000.pth")
    assert not list((tmp_path / "hub").rglob("*.pth"))


def test_a_missing_file_names_the_ways_out(tmp_path: Path) -> None:
    with serving() as hub, pytest.raises(WeightsUnavailableError) as caught:
        hub_weights("net", f"{hub}/absent-{DIGEST}.pth")
    message = str(caught.value)
    for part in ("404", "autodl[pretrained]", "weights=PATH", "TORCH_HOME", str(tmp_path), f"{hub}/absent"):
        assert part in message


def test_a_hub_that_takes_the_call_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        reason = unreachable(f"http://127.0.0.1:{silent.getsockname()[1]}/x.pth", timeout_s=0.2)
        assert time.monotonic() - start < 2
    assert reason is not None


def test_a_resolver_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    woken = threading.Event()

    def hang(*_args: object, **_kwargs: object) -> None:
        woken.wait(30)
        raise OSError("no name")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    start = time.monotonic()
    try:
        assert unreachable("http://hub.invalid/x.pth", timeout_s=0.1) == "no answer within 0.1 s"
        assert time.monotonic() - start < 2
    finally:
        woken.set()


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "package_weights", lambda _name: None)
    with pytest.raises(
        WeightsUnavailableError, match=r"efficientnet_lite0.*autodl\[pretrained\].*weights=PATH"
    ):
        require_package_weights("efficientnet_lite0")


def test_the_packages_code_is_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "fake_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('was run')")
    (package / "models" / "fake-1.pth").write_bytes(b"x")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert package_weights("fake") == package / "models" / "fake-1.pth"
    assert package_weights("no_such_network") is None
