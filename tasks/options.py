"""What a caller may choose: presets and the option groups behind ``fit``'s few arguments."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar

from autodl.errors import OptionError, UnknownNameError

Precision = Literal["auto", "bf16", "fp32"]


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How every network of a run is trained; None leaves a value to the search.

    Attributes:
        label_smoothing: in [0, 1).
        mixup: alpha of MixUp (Zhang et al. 2018), 0 = off.
        cutmix: alpha of CutMix (Yun et al. 2019), 0 = off.
        ema_decay: decay of the exponential moving average of weights, in [0, 1); 0 = off.
        clip_norm: gradient norm to clip at; None = off.
        warmup_fraction: part of the training with a rising learning rate, in [0, 1).
        patience: epochs without a better validation metric before a training ends; None = never.
        precision: "auto" measures bf16 autocast with channels_last against fp32 in the first steps.
    """

    label_smoothing: float | None = None
    mixup: float | None = None
    cutmix: float | None = None
    ema_decay: float | None = None
    clip_norm: float | None = 5.0
    warmup_fraction: float = 0.1
    patience: int | None = None
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        for name in ("label_smoothing", "ema_decay", "warmup_fraction"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise OptionError(f"{name} must lie in [0, 1), got {value!r}")
        for name in ("mixup", "cutmix"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise OptionError(f"{name} is a Beta distribution's alpha, >= 0 (0 = off), got {value!r}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise OptionError(f"clip_norm must be > 0 or None (off), got {self.clip_norm!r}")
        if self.patience is not None and self.patience < 1:
            raise OptionError(f"patience counts epochs, >= 1 or None (never), got {self.patience!r}")
        if self.precision not in ("auto", "bf16", "fp32"):
            raise UnknownNameError("precision", self.precision, ("auto", "bf16", "fp32"))


@dataclass(frozen=True, slots=True)
class ValidationOptions:
    """What trials are compared on, when no ``tuning_data`` is given.

    Attributes:
        fraction: part of the training images held out, in (0, 1); None: 20 % of small sets,
            less of large ones.
        folds: cross-validation folds for trials that train only a head on frozen features
            (they are cheap, so every image is held out once); 1 = the held-out part alone.
    """

    fraction: float | None = None
    folds: int = 5

    def __post_init__(self) -> None:
        if self.fraction is not None and not 0 < self.fraction < 1:
            raise OptionError(f"the validation fraction must lie in (0, 1), got {self.fraction!r}")
        if self.folds < 1:
            raise OptionError(f"folds must be >= 1, got {self.folds!r}")

    def fraction_for(self, num_images: int) -> float:
        """The part to hold out: at least 20 %, falling so that about 2,500 images are enough."""
        if self.fraction is not None:
            return self.fraction
        if num_images <= 1000:
            return 0.2
        return max(0.02, min(0.2, (200 + 0.06 * (num_images - 1000)) / num_images, 2500 / num_images))


@dataclass(frozen=True, slots=True)
class Preset:
    """What a preset's name stands for.

    Attributes:
        time_limit_s: seconds for the whole fit when the caller names neither time nor trials.
        epochs: of a from-scratch training when there is no time limit to derive them from.
        finetune_epochs: likewise for fine-tuning.
        max_epochs: the most that a time limit is turned into.
        widths: channels of the first stage of the small residual networks, cheapest first.
        first_map: side that their stem brings images to, pixels.
    """

    time_limit_s: float
    epochs: int
    finetune_epochs: int
    max_epochs: int
    widths: tuple[int, ...]
    first_map: int = 16


PRESETS = {
    "fast": Preset(120, epochs=12, finetune_epochs=2, max_epochs=40, widths=(16, 32)),
    "medium": Preset(600, epochs=30, finetune_epochs=4, max_epochs=200, widths=(32, 64)),
    "best": Preset(3600, epochs=80, finetune_epochs=10, max_epochs=300, widths=(32, 64), first_map=32),
}


def get_preset(name: str) -> Preset:
    """The preset of that name."""
    if not isinstance(name, str) or name not in PRESETS:
        raise UnknownNameError("preset", name, tuple(PRESETS))
    return PRESETS[name]


Group = TypeVar("Group", TrainingOptions, ValidationOptions)


def as_group(kind: type[Group], value: Group | dict[str, Any] | None) -> Group:
    """An option group from itself, a dict of its fields, or None for its defaults."""
    if value is None:
        return kind()
    if isinstance(value, kind):
        return value
    known = tuple(f.name for f in fields(kind))
    if isinstance(value, dict):
        for name in value:
            if name not in known:
                raise UnknownNameError(f"field of {kind.__name__}", name, known)
        try:
            return replace(kind(), **value)
        except TypeError as error:  # a text where a number belongs
            raise OptionError(f"{kind.__name__}: {error}; got {value!r}") from error
    raise OptionError(f"expected a {kind.__name__} or a dict of its fields, got {value!r}")
