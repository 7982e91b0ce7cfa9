"""Published architecture spaces, each in a size for small and for large images."""

from __future__ import annotations

from autodl.nas.spaces.darts import DARTS
from autodl.nas.spaces.fbnet import FBNet
from autodl.nas.spaces.mnasnet import MnasNet
from autodl.nas.spaces.mobilenetv3 import MobileNetV3
from autodl.nas.spaces.proxyless import ProxylessNAS
from autodl.nas.spaces.registry import SPACES, get_space, space_from_json

__all__ = [
    "DARTS",
    "SPACES",
    "FBNet",
    "MnasNet",
    "MobileNetV3",
    "ProxylessNAS",
    "get_space",
    "space_from_json",
]
