"""Published architecture spaces, each in a size for small and for large images."""

from __future__ import annotations

from autodl.nas.spaces.chain import ConvChain
from autodl.nas.spaces.darts import DARTS
from autodl.nas.spaces.enas_macro import ENASMacro
from autodl.nas.spaces.enas_micro import ENASMicro
from autodl.nas.spaces.fbnet import FBNet
from autodl.nas.spaces.mnasnet import MnasNet
from autodl.nas.spaces.mobilenetv3 import MobileNetV3
from autodl.nas.spaces.nasbench201_net import NASBench201Net
from autodl.nas.spaces.nasnet import NASNet
from autodl.nas.spaces.proxyless import ProxylessNAS
from autodl.nas.spaces.registry import SPACES, get_space, space_from_json

__all__ = [
    "DARTS",
    "SPACES",
    "ConvChain",
    "ENASMacro",
    "ENASMicro",
    "FBNet",
    "MnasNet",
    "MobileNetV3",
    "NASBench201Net",
    "NASNet",
    "ProxylessNAS",
    "get_space",
    "space_from_json",
]
