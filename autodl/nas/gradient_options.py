"""How a gradient method optimises a super-net and its architecture parameters."""

from __future__ import annotations

from dataclasses import dataclass

from autodl.checks import check_whole
from autodl.errors import OptionError
from autodl.nas.fitting import FitOptions


@dataclass(frozen=True, slots=True)
class GradientOptions:
    """How a super-net and its architecture parameters are optimised.

    Args:
        epochs: of a search whose budget names none.
        lr: of the weights' SGD at the start; falls to `lr_min` along half a cosine.
        lr_min: of the weights at the end.
        momentum: of the weights.
        weight_decay: of the weights.
        clip_norm: largest norm of the weights' gradient.
        alpha_lr: of the architecture parameters' Adam. None: as large as lets them travel as far as
            in the papers' searches, which had many more steps than small data gives.
        alpha_least_lr: the papers' rate, and the least that None stands for.
        alpha_betas: of Adam.
        alpha_weight_decay: of the architecture parameters.
        warmup: share of epochs at the start in which only weights are trained.
        alpha_every: steps of the weights for one of the architecture parameters.
        retrain_top: of the derived architecture and some drawn from the probabilities, so many are
            trained from scratch, and the best by the objective is the answer (FBNet derives so). 0: the
            derived one is, with fresh weights.
        retrain_fit: how each is trained.
    """

    epochs: int = 50
    lr: float = 0.025
    lr_min: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip_norm: float = 5.0
    alpha_lr: float | None = None
    alpha_least_lr: float = 3e-4
    alpha_betas: tuple[float, float] = (0.5, 0.999)
    alpha_weight_decay: float = 1e-3
    warmup: float = 0.0
    alpha_every: int = 1
    retrain_top: int = 0
    retrain_fit: FitOptions | None = None

    def __post_init__(self) -> None:
        check_whole("epochs", self.epochs)
        check_whole("alpha_every", self.alpha_every)
        check_whole("retrain_top", self.retrain_top, 0)
        if not 0 <= self.warmup < 1:
            raise OptionError(f"warmup is a share of the epochs in [0, 1), got {self.warmup!r}")
