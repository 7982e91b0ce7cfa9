"""From what is known of the data and the caller's wishes to a search: space, first configs, time shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from autodl import optim
from autodl.errors import OptionError, UnknownNameError
from autodl.models import known_networks, pretrained_networks
from autodl.nas.space_factory import SpaceFactory
from autodl.spaces import Categorical, ObjectSpec, Real, SearchSpace
from autodl.spaces.nested import holds_space
from autodl.tasks.augment_choice import check_augment
from autodl.tasks.network_choice import default_batch_size
from autodl.tasks.options import Preset
from autodl.tasks.trial_context import RECIPE_LABEL
from autodl.trial import Config

SMALL_SIDE = 64
"""Images up to this side, pixels, are taken as they are and learnt from scratch."""

PHOTO_SIZE = 224
SCRATCH_PHOTO_SIZE = 128
"""Input sides for photos, with pretrained weights and without, pixels."""

ENLARGED_SIZE = 96
"""Side to which small images are enlarged for pretrained networks, pixels."""

CROP_FRACTION = 0.875
"""Part of a cached photo's side that a network sees at once, as its weights were trained."""

SCRATCH_SHARES = (0.08, 0.9)
"""Parts of the time limit for trials from scratch: first a quick one, so that there is something to
show; then the best known recipe as long as it gains from it (the preset's most epochs), since a
network that is trained for half the time loses more than a second one brings."""

OWN_NET_SHARES = (0.25,)
"""Likewise for networks of the caller's choice, of which little is known: several are to be tried."""

LARGE_SET = 20_000
"""From so many images on, hold-out validation is precise enough, and folds would cost too much."""

BACKBONE_ORDER = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
"""Cheapest first, then what adds most to an ensemble."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """The caller's arguments that shape the search; None or "auto" leaves them to autodl.

    A network with open decisions stands here as its `SpaceFactory`.
    """

    net: Any = None
    weights: str | Path | None = "auto"
    optimizer: Any = None
    augment: Any = "auto"
    input_size: int | None = None


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What shapes a plan.

    Attributes:
        num_images: labelled images.
        side: median short side, pixels.
        same_size: the common side if all images are squares of one size, else None.
        grey: no image has colour; such images (digits, scans) are not mirrored.
    """

    num_images: int
    side: int
    same_size: int | None
    grey: bool


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """A search, ready to run.

    Attributes:
        recipes: for each recipe its parts (spaces and constants).
        portfolio: configs to try first, cheapest first; partial ones are filled from the defaults.
        shares: part of the time limit that the first, second, ... trial may plan for.
        input_size: side that networks see, pixels.
        cache_size: side of the cached images, pixels.
        cross_validate: hold every row out once.
    """

    recipes: Mapping[str, Mapping[str, Any]]
    portfolio: tuple[Config, ...]
    shares: tuple[float, ...]
    input_size: int
    cache_size: int
    cross_validate: bool

    @property
    def space(self) -> SearchSpace:
        """The search space over all recipes."""
        if len(self.recipes) == 1:
            return SearchSpace(dict(next(iter(self.recipes.values()))))
        choices = [ObjectSpec(_named(name), tuple(parts.items())) for name, parts in self.recipes.items()]
        return SearchSpace({RECIPE_LABEL: Categorical(*choices)})


def _named(name: str) -> Callable[..., dict[str, Any]]:
    """A target for a recipe's parts; its name is the recipe's in configs."""

    def parts(**values: Any) -> dict[str, Any]:
        return values

    parts.__name__ = name
    return parts


def make_plan(facts: DataFacts, wishes: Wishes, preset: Preset) -> ImagePlan:
    """Choose between learning from scratch and building on pretrained weights."""
    _check(wishes)
    backbones = _backbones(facts, wishes)
    if backbones:
        return _transfer_plan(facts, wishes, backbones)
    return _scratch_plan(facts, wishes, preset)


def _check(wishes: Wishes) -> None:
    for name in net_names(wishes.net):
        if name not in known_networks():
            raise UnknownNameError("network", name, known_networks())
    check_augment(wishes.augment)
    size = wishes.input_size
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 4):
        raise OptionError(f"input_size is a side in pixels, an integer >= 4, got {size!r}")


def _backbones(facts: DataFacts, wishes: Wishes) -> tuple[str, ...]:
    """Pretrained networks to build on; none: train from scratch."""
    if wishes.weights is None:
        return ()
    if wishes.net is not None:
        names = net_names(wishes.net)
        if wishes.weights == "auto":
            # All or none: a choice without weights must not be left out in silence.
            chosen_by_name = len(names) == len(net_choices(wishes.net))
            return names if chosen_by_name and set(names) <= set(pretrained_networks()) else ()
        return names
    if wishes.weights == "pretrained" or (wishes.weights == "auto" and facts.side > SMALL_SIDE):
        here = pretrained_networks()
        return tuple(n for n in BACKBONE_ORDER if n in here)
    return ()


def net_names(net: Any) -> tuple[str, ...]:
    """Network names among the caller's choice of nets."""
    return tuple(c for c in net_choices(net) if isinstance(c, str))


def net_choices(net: Any) -> Sequence[Any]:
    """The nets that the caller lets the search choose from."""
    choices = net.choices if isinstance(net, Categorical) else net
    return choices if isinstance(choices, list | tuple) else (choices,)


def _transfer_plan(facts: DataFacts, wishes: Wishes, backbones: tuple[str, ...]) -> ImagePlan:
    input_size = wishes.input_size or (PHOTO_SIZE if facts.side > SMALL_SIDE else ENLARGED_SIZE)
    weights = "pretrained" if wishes.weights == "auto" else wishes.weights
    flip = not facts.grey
    head: dict[str, Any] = {
        "backbone": Categorical(*backbones),
        "l2": Real(3.0, 1000.0, log=True, default=100.0),
        "label_smoothing": Real(0.0, 0.2, default=0.0),
        "weights": weights,
        "flip": flip,
    }
    finetune: dict[str, Any] = {
        "net": Categorical(*backbones),
        "optimizer": _spec(wishes.optimizer)
        or optim.AdamW(
            lr=Real(1e-4, 1e-2, log=True, default=1e-3), weight_decay=Real(1e-3, 0.1, log=True, default=0.02)
        ),
        "augment": _augment(wishes, ("standard",)),
        "flip": flip,
        "label_smoothing": Real(0.0, 0.2, default=0.1),
        "ema_decay": 0.99,
        "backbone_lr_scale": Real(0.05, 1.0, log=True, default=0.2),
        "weights": weights,
    }
    heads: list[Config] = [
        {RECIPE_LABEL: "head", f"{RECIPE_LABEL}/head/backbone": backbone} for backbone in backbones
    ]
    tune: Config = {RECIPE_LABEL: "finetune", f"{RECIPE_LABEL}/finetune/net": backbones[0]}
    return ImagePlan(
        recipes={"head": head, "finetune": finetune},
        portfolio=(*heads, tune),
        shares=(0.4,) * len(heads) + (1.0,),
        input_size=input_size,
        cache_size=round(input_size / CROP_FRACTION),
        cross_validate=facts.num_images < LARGE_SET,
    )


def _scratch_plan(facts: DataFacts, wishes: Wishes, preset: Preset) -> ImagePlan:
    if facts.side <= SMALL_SIDE:
        input_size = (
            wishes.input_size or facts.same_size or max(8, min(SMALL_SIDE, round(facts.side / 8) * 8))
        )
        cache_size = input_size
    else:
        input_size = wishes.input_size or SCRATCH_PHOTO_SIZE
        cache_size = round(input_size / CROP_FRACTION)
    flip = not facts.grey
    net = _net(wishes.net, preset)
    # Measured at 128 images a batch; in proportion for smaller batches (Goyal et al. 2017), and
    # careful with networks that are not known to normalise their activations.
    lr = (0.4 if wishes.net is None else 0.1) * default_batch_size(facts.num_images) / 128
    recipe: dict[str, Any] = {
        "net": net,
        "optimizer": _spec(wishes.optimizer)
        or optim.SGD(
            lr=Real(lr / 8, 2 * lr, log=True, default=lr),
            momentum=0.9,
            nesterov=True,
            weight_decay=Real(2e-4, 5e-3, log=True, default=1e-3),
        ),
        "augment": _augment(wishes, ("standard", "trivial") if flip else ("standard", "none")),
        "flip": flip,
        "cutout": Real(0.0, 0.4, default=0.125) if flip else 0.0,
        "label_smoothing": Real(0.0, 0.2, default=0.1),
        "mixup": Categorical(0.0, 0.2),
    }
    return ImagePlan(
        recipes={"network": recipe},
        portfolio=_scratch_portfolio(net, wishes, preset),
        shares=SCRATCH_SHARES if wishes.net is None else OWN_NET_SHARES,
        input_size=input_size,
        cache_size=cache_size,
        cross_validate=False,
    )


def _scratch_portfolio(net: Any, wishes: Wishes, preset: Preset) -> tuple[Config, ...]:
    """Known recipes, cheapest first; of several networks of the caller's each once."""
    if isinstance(net, Categorical):
        return tuple({"net": name} for name in net.names)
    if wishes.net is not None:
        return ({},)
    first, *larger = preset.widths
    quick: Config = {"net/width": first, "label_smoothing": 0.0}
    # The second of its width is for the ensemble: on two workers both are trained at once.
    again: Config = {"net/width": first, "label_smoothing": 0.05}
    others: list[Config] = [{"net/width": width} for width in larger]
    return (quick, {"net/width": first}, again, *others)


def _net(net: Any, preset: Preset) -> Any:
    """The part of the space that stands for the network."""
    if net is None:
        return {
            "name": "small_resnet",
            "width": Categorical(*preset.widths),
            "blocks": Categorical(1, 2),
            "first_map": preset.first_map,
        }
    if isinstance(net, list | tuple):
        return Categorical(*net)
    if isinstance(net, str | nn.Module | SpaceFactory) or holds_space(net):
        return net
    raise OptionError(
        "net takes a name, several names, a torch.nn.Module, a class decorated with @ad.obj, or a space "
        f"of networks; got {net!r}"
    )


def _augment(wishes: Wishes, searched: tuple[str, ...]) -> Any:
    if wishes.augment == "auto":
        return Categorical(*searched) if len(searched) > 1 else searched[0]
    return "none" if wishes.augment is None else wishes.augment


def _spec(optimizer: Any) -> Any:
    """The optimizer's part of the space; None leaves it to the recipe.

    Raises:
        OptionError: not an optimizer.
    """
    if optimizer is None:
        return None
    if isinstance(optimizer, str):
        known = {name.lower(): getattr(optim, name) for name in optim.__all__}
        if optimizer.lower() not in known:
            raise UnknownNameError("optimizer", optimizer, tuple(known))
        return known[optimizer.lower()]()
    if callable(optimizer) or holds_space(optimizer):
        return optimizer
    raise OptionError(
        f"optimizer takes a name or one of ad.optim's (ad.optim.SGD(lr=...)), got {optimizer!r}"
    )
