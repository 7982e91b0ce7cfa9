"""torch's optimizers as search spaces.

``optim.AdamW(lr=Real(1e-4, 1e-2, log=True))`` goes into a search space. Built in the worker it is an
`OptimizerFactory`, which waits for the network's parameters. torch is imported only then.
Arguments that are not named keep the domain or constant given here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autodl.errors import OptionError
from autodl.spaces.decorators import func
from autodl.spaces.domains import Real

if TYPE_CHECKING:
    import torch

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "NAdam", "OptimizerFactory", "RAdam", "RMSprop"]

Options = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class OptimizerFactory:
    """An optimizer that waits for its parameters.

    Attributes:
        name: a class of ``torch.optim``.
        options: (argument, value) pairs for it.
    """

    name: str
    options: Options = ()

    def __call__(self, params: Iterable[Any]) -> torch.optim.Optimizer:
        """The optimizer.

        Args:
            params: parameters, or torch's parameter groups (dicts), whose own options win.

        Raises:
            OptionError: torch refuses an option.
        """
        import torch  # noqa: PLC0415  # a search space must not cost the import of torch

        optimizer: type[torch.optim.Optimizer] = getattr(torch.optim, self.name)
        try:
            return optimizer(params, **dict(self.options))
        except (TypeError, ValueError) as error:
            raise OptionError(f"torch.optim.{self.name} refuses {dict(self.options)}: {error}") from error

    def update(self, **options: Any) -> OptimizerFactory:
        """A new factory with some options replaced."""
        return OptimizerFactory(self.name, tuple({**dict(self.options), **options}.items()))


def _factory(name: str, options: dict[str, Any]) -> OptimizerFactory:
    return OptimizerFactory(name, tuple(options.items()))


@func(
    lr=Real(1e-3, 1.0, log=True, default=0.05),
    momentum=Real(0.8, 0.98, default=0.9),
    weight_decay=Real(1e-6, 1e-2, log=True, default=5e-4),
)
def SGD(
    lr: float, momentum: float = 0.9, weight_decay: float = 0.0, dampening: float = 0.0, nesterov: bool = True
) -> OptimizerFactory:
    """Stochastic gradient descent with momentum; no Nesterov step where torch allows none."""
    nesterov = nesterov and momentum > 0 and dampening == 0
    return _factory("SGD", locals())


@func(
    lr=Real(1e-5, 1e-2, log=True, default=1e-3),
    weight_decay=Real(1e-6, 1e-2, log=True, default=1e-5),
)
def Adam(
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
) -> OptimizerFactory:
    """Adam with L2 regularisation (Kingma and Ba 2015)."""
    return _factory("Adam", locals())


@func(
    lr=Real(1e-5, 1e-2, log=True, default=1e-3),
    weight_decay=Real(1e-4, 0.3, log=True, default=1e-2),
)
def AdamW(
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
) -> OptimizerFactory:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""
    return _factory("AdamW", locals())


@func(
    lr=Real(1e-5, 1e-2, log=True, default=1e-3),
    momentum=Real(0.0, 0.95, default=0.9),
    weight_decay=Real(1e-6, 1e-2, log=True, default=1e-5),
)
def RMSprop(  # torch's own arguments
    lr: float,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
) -> OptimizerFactory:
    """Gradients divided by a running root mean square (Hinton 2012)."""
    return _factory("RMSprop", locals())


@func(
    lr=Real(1e-4, 0.1, log=True, default=1e-2),
    weight_decay=Real(1e-6, 1e-2, log=True, default=1e-5),
)
def Adagrad(
    lr: float,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
) -> OptimizerFactory:
    """Steps that shrink with the gradients seen so far (Duchi et al. 2011)."""
    return _factory("Adagrad", locals())


@func(
    lr=Real(1e-5, 1e-2, log=True, default=1e-3),
    weight_decay=Real(1e-4, 0.3, log=True, default=1e-2),
)
def NAdam(  # torch's own arguments
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = True,
) -> OptimizerFactory:
    """Adam with Nesterov momentum (Dozat 2016), here with decoupled weight decay."""
    return _factory("NAdam", locals())


@func(
    lr=Real(1e-5, 1e-2, log=True, default=1e-3),
    weight_decay=Real(1e-4, 0.3, log=True, default=1e-2),
)
def RAdam(
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    decoupled_weight_decay: bool = True,
) -> OptimizerFactory:
    """Adam with a rectified variance (Liu et al. 2020), here with decoupled weight decay."""
    return _factory("RAdam", locals())
