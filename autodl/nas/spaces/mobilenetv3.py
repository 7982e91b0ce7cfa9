"""A space around MobileNetV3: depth of each stage, kernel and expansion of each block.

Source: A. Howard et al., "Searching for MobileNetV3", ICCV 2019 (blocks, h-swish,
squeeze-excitation, the end of the network); the open sizes are those of H. Cai et al.,
"Once-for-All", ICLR 2020, section 4.1. Choices of one block share their weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from autodl.nas.decisions import Arch
from autodl.nas.elastic import Elastic
from autodl.nas.picture import Chain, Picture, Step
from autodl.nas.repeat import Repeat
from autodl.nas.space_factory import PublishedSpace
from autodl.nas.spaces.frame import as_classifier, conv_bn, fitting_stride, small_stem
from autodl.nas.spaces.mbconv import Residual, activation, separable
from autodl.nas.spaces.mbconv_elastic import ElasticSqueezeExcite, elastic_mbconv, share_of
from autodl.nas.spaces.mobile_network import FIRST_MAP, MobileBackbone


@dataclass(frozen=True, slots=True)
class _Stage:
    width: int
    stride: int
    act: str
    has_se: bool


_LARGE = (
    _Stage(24, 2, "relu", False),
    _Stage(40, 2, "relu", True),
    _Stage(80, 2, "hswish", False),
    _Stage(112, 1, "hswish", True),
    _Stage(160, 2, "hswish", True),
)
_SMALL = (_Stage(16, 1, "relu", False), _Stage(24, 2, "relu", True), _Stage(40, 2, "hswish", True))


@dataclass(frozen=True, kw_only=True)
class MobileNetV3(PublishedSpace):
    """Stages of 2 to 4 blocks; each block with kernel 3, 5 or 7 and expansion 3, 4 or 6.

    The large size has 5 stages, (9^2 + 9^3 + 9^4)^5 = 2.2e19 networks; the small one 3 stages of 1
    or 2 blocks with kernels 3 and 5.

    Example:
        >>> MobileNetV3().space(num_classes=10).size() == (6 + 6**2) ** 3
        True
    """

    name: ClassVar[str] = "mobilenetv3"

    def network(self, num_classes: int, channels: int, side: int) -> nn.Module:
        """See `PublishedSpace.network`."""
        is_small = self.size == "small"
        map_side: int | None = None
        if is_small:
            stem, map_side = small_stem(channels, 16, side, FIRST_MAP)
        else:
            stem = nn.Sequential(*conv_bn(channels, 16, 3, 2))
        stem.append(activation("hswish"))
        blocks: list[nn.Module] = [Residual(separable(16, 16, act="relu"))]
        c_in = 16
        for number, stage in enumerate(_SMALL if is_small else _LARGE, 1):
            stride = stage.stride
            if map_side is not None:
                stride, map_side = fitting_stride(stride, map_side)
            blocks.append(self._stage(number, c_in, stride, stage))
            c_in = stage.width
        last, wide = (128, 0) if is_small else (960, 1280)
        end = nn.Sequential(*conv_bn(c_in, last, 1), activation("hswish"))
        backbone = MobileBackbone(stem, blocks, end, last, wide)
        return as_classifier(backbone, backbone.feature_dim, num_classes, channels, side)

    def _stage(self, number: int, c_in: int, stride: int, stage: _Stage) -> Repeat:
        kernels, depths = ((3, 5), (1, 2)) if self.size == "small" else ((3, 5, 7), (2, 3, 4))

        def block(index: int) -> nn.Module:
            c, s = (c_in, stride) if index == 0 else (stage.width, 1)
            label = f"stage{number}/block{index + 1}"
            hidden = Elastic((3, 4, 6), label=f"{label}/expand") * c
            kernel = Elastic(kernels, label=f"{label}/kernel")
            squeeze = ElasticSqueezeExcite(hidden, share_of(hidden, 0.25)) if stage.has_se else None
            body = elastic_mbconv(
                c, hidden, stage.width, kernel=kernel, stride=s, act=stage.act, squeeze=squeeze
            )
            return Residual(body) if s == 1 and c == stage.width else body

        return Repeat(block, depth=Elastic(depths, label=f"stage{number}/depth"))

    def pictures(self, arch: Arch) -> list[Picture]:
        """The row of blocks."""
        steps = []
        for label, kernel in arch.items():
            if label.endswith("/kernel"):
                block = label.removesuffix("/kernel")
                text = f"k{kernel} e{arch[f'{block}/expand']}"
                steps.append(Step(block, text, block.partition("/")[0]))
        steps.sort(key=lambda step: step.name)
        return [Chain(self.name, tuple(steps))]
