"""The macro space of ENAS: an operation for each layer, and which earlier layers it also reads.

Source: H. Pham et al., "Efficient Neural Architecture Search via Parameter Sharing", ICML 2018,
section 2.3 and appendix C.2.

Departure: where the map shrinks, earlier layers are brought to its size by a mean of 2 x 2 pixels,
which has no weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from autodl.checks import check_whole
from autodl.nas.choices import InputChoice, OpChoice
from autodl.nas.decisions import Arch
from autodl.nas.picture import Chain, Picture, Step
from autodl.nas.space_factory import PublishedSpace
from autodl.nas.spaces.frame import as_classifier, conv_bn, small_stem
from autodl.nas.spaces.ops import Pool

OPS = ("conv_3x3", "conv_5x5", "sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")


def make_op(name: str, width: int) -> nn.Module:
    """One of `OPS` behind a pointwise convolution, on maps (n, width, h, w)."""
    kernel = int(name[-1])
    layers = [*conv_bn(width, width, 1), nn.ReLU()]
    if name.startswith("conv"):
        layers += conv_bn(width, width, kernel)
    elif name.startswith("sep"):
        filters = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width, bias=False)
        layers += [filters, *conv_bn(width, width, 1)]
    else:
        return nn.Sequential(*layers, Pool(name[:3], width, kernel))
    return nn.Sequential(*layers, nn.ReLU())


class Layer(nn.Module):
    """An operation on the layer before, plus chosen earlier layers, normalised.

    Args:
        number: of the layer, from 0.
        width: channels.
    """

    def __init__(self, number: int, width: int) -> None:
        super().__init__()
        ops = {name: make_op(name, width) for name in OPS}
        self.op = OpChoice(ops, label=f"layer{number + 1}/op")
        self.skips = InputChoice(number, None, label=f"layer{number + 1}/skip") if number else None
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor, earlier: Sequence[Tensor]) -> Tensor:
        """The stem's or last layer's output, and those of all earlier layers -> (n, width, h, w)."""
        out = self.op(x)
        if self.skips is not None:
            out = out + self.skips(earlier)
        normed: Tensor = self.norm(out)
        return normed


class MacroBackbone(nn.Module):
    """Images (n, channels, side, side) to features (n, width).

    Args:
        stem: images to the first map.
        layers: how many; the map is halved after a third and two thirds of them.
        width: channels of all layers.
    """

    def __init__(self, stem: nn.Module, layers: int, width: int) -> None:
        super().__init__()
        self.stem = stem
        self.layers = nn.ModuleList(Layer(number, width) for number in range(layers))
        self.halve = nn.AvgPool2d(2, ceil_mode=True)
        self.halved_after = (layers // 3 - 1, 2 * layers // 3 - 1)
        self.stage_names = ("stem", *(f"layers.{i}" for i in range(layers)))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, width)."""
        x = self.stem(x)
        earlier: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            x = layer(x, earlier)
            earlier.append(x)
            if number in self.halved_after:
                earlier = [self.halve(state) for state in earlier]
                x = earlier[-1]
        return x.mean((2, 3))


@dataclass(frozen=True, kw_only=True)
class ENASMacro(PublishedSpace):
    """Layers of 6 operations, each adding any of the layers before it: 6^12 * 2^66 networks of 12.

    Attributes:
        size: "small" (6 layers, maps from 16 px on), "cifar" (12 layers of width 36 on 32 px) or
            "large" (the same after a stem that halves twice, for 224 px).
        layers: how many, at least 3. None: by size.
        width: channels. None: by size.

    Example:
        >>> ENASMacro(layers=3).space(num_classes=10).size() == 6**3 * 2**3
        True
    """

    name: ClassVar[str] = "enas_macro"
    sizes: ClassVar[tuple[str, ...]] = ("small", "cifar", "large")

    layers: int | None = None
    width: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for label, value, least in (("layers", self.layers, 3), ("width", self.width, 1)):
            if value is not None:
                check_whole(label, value, least)

    def network(self, num_classes: int, channels: int, side: int) -> nn.Module:
        """See `PublishedSpace.network`."""
        width = self.width or (16 if self.size == "small" else 36)
        layers = self.layers or (6 if self.size == "small" else 12)
        first_map = {"small": 16, "cifar": 32, "large": 56}[self.size]
        stem, _ = small_stem(channels, width, side, first_map)
        return as_classifier(MacroBackbone(stem, layers, width), width, num_classes, channels, side)

    def pictures(self, arch: Arch) -> list[Picture]:
        """The row of layers with its skips."""
        names = [label.removesuffix("/op") for label in arch if label.endswith("/op")]
        steps = tuple(Step(name, str(arch[f"{name}/op"])) for name in names)
        skips = tuple(
            (source, number)
            for number, name in enumerate(names)
            for source in range(number)
            if arch[f"{name}/skip/{source}"] is True
        )
        return [Chain(self.name, steps, skips)]
