"""The factorised hierarchical space of MnasNet.

Source: M. Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile", CVPR 2019,
section 4.1 and figure 4. Choices of one block share their weights where only sizes differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor, nn

from autodl.nas.choices import OpChoice
from autodl.nas.decisions import Arch
from autodl.nas.elastic import Elastic, Size, replace_sizes
from autodl.nas.picture import Chain, Picture, Step
from autodl.nas.repeat import Repeat
from autodl.nas.space_factory import PublishedSpace
from autodl.nas.spaces.frame import as_classifier, conv_bn, fitting_stride, small_stem
from autodl.nas.spaces.mbconv import activation, rounded
from autodl.nas.spaces.mbconv_elastic import ElasticSqueezeExcite, elastic_conv_bn, elastic_mbconv
from autodl.nas.spaces.mobile_network import FIRST_MAP, MobileBackbone, Stage
from autodl.nas.spaces.ops import Pool, Zero

OPS = ("conv", "sepconv", "mbconv3", "mbconv6")

# MobileNetV2, whose numbers of layers and filters the choices are about.
_LARGE = tuple(
    Stage(*numbers)
    for numbers in (
        (16, 1, 1),
        (24, 2, 2),
        (32, 3, 2),
        (64, 4, 2),
        (96, 3, 1),
        (160, 3, 2),
        (320, 1, 1),
    )
)
_SMALL = (Stage(16, 2, 1), Stage(24, 2, 2), Stage(40, 2, 2))


class _Layer(nn.Module):
    """An operation beside a skip of the block's kind."""

    def __init__(self, op: nn.Module, skip: nn.Module) -> None:
        super().__init__()
        self.op, self.skip = op, skip

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.op(x) + self.skip(x)
        return out


@dataclass(frozen=True, kw_only=True)
class MnasNet(PublishedSpace):
    """7 blocks (3 in the small size) whose layers share all choices of their block.

    They are the operation, the kernel, squeeze-excitation, the skip, the filters (three quarters,
    one or five quarters of MobileNetV2's) and the layers (one fewer, as many, one more): 432 of a
    block. A block of one layer has no layer that a skip fits, so that its kind is not counted.

    Example:
        >>> MnasNet().space(num_classes=10).size() == (4 * 2 * 2 * 3 * (1 + 3 + 3)) ** 3
        True
    """

    name: ClassVar[str] = "mnasnet"

    def network(self, num_classes: int, channels: int, side: int) -> nn.Module:
        """See `PublishedSpace.network`."""
        is_small = self.size == "small"
        width, last = (16, 128) if is_small else (32, 1280)
        map_side: int | None = None
        if is_small:
            stem, map_side = small_stem(channels, width, side, FIRST_MAP)
        else:
            stem = nn.Sequential(*conv_bn(channels, width, 3, 2))
        stem.append(activation("relu6"))
        c_in: Size = width
        blocks: list[nn.Module] = []
        for number, stage in enumerate(_SMALL if is_small else _LARGE, 1):
            stride = stage.stride
            if map_side is not None:
                stride, map_side = fitting_stride(stride, map_side)
            filters = [rounded(share * stage.width, 4) for share in (0.75, 1.0, 1.25)]
            c_out = Elastic(filters, label=f"block{number}/filters")
            blocks.append(_block(number, c_in, c_out, stride, stage.blocks))
            c_in = c_out
        end = nn.Sequential(*elastic_conv_bn(c_in, last), activation("relu6"))
        backbone = MobileBackbone(stem, blocks, end, last)
        return as_classifier(backbone, last, num_classes, channels, side)

    def pictures(self, arch: Arch) -> list[Picture]:
        """One step a block."""
        steps = []
        for label, layers in arch.items():
            name, _, what = label.partition("/")
            if what != "layers":
                continue
            get = partial(_get, arch, name)
            parts = [f"{layers} x {get('op')}", f"k{get('kernel')}", f"{get('filters')} filters"]
            parts += [f"se {get('se')}"] if get("se") != "0" else []
            parts += [f"skip {get('skip')}"] if f"{name}/skip" in arch else []
            steps.append(Step(name, ", ".join(parts), name))
        return [Chain(self.name, tuple(sorted(steps, key=lambda step: step.name)))]


def _get(arch: Arch, name: str, what: str) -> str:
    return str(arch[f"{name}/{what}"])


def _block(number: int, c_in: Size, c_out: Elastic, stride: int, layers: int) -> Repeat:
    label = f"block{number}"
    depths = tuple(depth for depth in (layers - 1, layers, layers + 1) if depth > 0)
    kernel = Elastic((3, 5), label=f"{label}/kernel")

    def layer(index: int) -> nn.Module:
        if index == 0:
            return _op(label, c_in, c_out, kernel, stride)
        skips: dict[str, nn.Module] = {"identity": nn.Identity(), "pool": Pool("avg", 0), "none": Zero()}
        return _Layer(_op(label, c_out, c_out, kernel, 1), OpChoice(skips, label=f"{label}/skip"))

    return Repeat(layer, depth=Elastic(depths, label=f"{label}/layers"))


def _op(label: str, c_in: Size, c_out: Elastic, kernel: Elastic, stride: int) -> OpChoice:
    def squeeze(channels: Size) -> OpChoice:
        # The gate's inner layer has a quarter of the channels that the layer reads.
        made = {"0": nn.Identity(), "0.25": ElasticSqueezeExcite(channels, _quarter(c_in))}
        return OpChoice(made, label=f"{label}/se")

    expanded: Callable[[int], nn.Module] = lambda factor: elastic_mbconv(  # noqa: E731
        c_in,
        c_in * factor,
        c_out,
        kernel=kernel,
        stride=stride,
        act="relu6",
        squeeze=squeeze(c_in * factor),
    )
    conv = nn.Sequential(
        *elastic_conv_bn(c_in, c_out, kernel, stride=stride), activation("relu6"), squeeze(c_out)
    )
    separable = nn.Sequential(
        *elastic_conv_bn(c_in, c_in, kernel, stride=stride, depthwise=True),
        activation("relu6"),
        squeeze(c_in),
        *elastic_conv_bn(c_in, c_out),
    )
    made = (conv, separable, expanded(3), expanded(6))
    return OpChoice(dict(zip(OPS, made, strict=True)), label=f"{label}/op")


def _quarter(size: Size) -> Size:
    if isinstance(size, Elastic):
        return replace_sizes(size, tuple(s // 4 for s in size.sizes))
    return size // 4
