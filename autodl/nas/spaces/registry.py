"""Published spaces by name, and from the JSON that describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from autodl.errors import UnknownNameError
from autodl.nas.space_factory import PublishedSpace, as_tuples
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

SPACES: dict[str, type[PublishedSpace]] = {
    space.name: space
    for space in (
        ConvChain,
        DARTS,
        ENASMacro,
        ENASMicro,
        FBNet,
        MnasNet,
        MobileNetV3,
        NASBench201Net,
        NASNet,
        ProxylessNAS,
    )
}


def get_space(name: str, **options: Any) -> PublishedSpace:
    """A published space.

    Args:
        name: "darts", "proxyless", ...; see `SPACES`.
        options: of its class.

    Raises:
        UnknownNameError: no such space or option.
        OptionError: a value that the space does not take.

    Example:
        >>> get_space("proxyless")
        ProxylessNAS(size='small', kernels=None, expansions=(3, 6))
    """
    if name not in SPACES:
        raise UnknownNameError("space", name, tuple(SPACES))
    known = tuple(f.name for f in fields(SPACES[name]))
    for option in options:
        if option not in known:
            raise UnknownNameError(f"option of {name}", option, known)
    return SPACES[name](**options)


def space_from_json(data: Mapping[str, Any]) -> PublishedSpace:
    """The inverse of `PublishedSpace.to_json`.

    Raises:
        UnknownNameError: no such space or option.
    """
    options = {key: as_tuples(value) for key, value in data.items() if key != "name"}
    return get_space(data["name"], **options)
