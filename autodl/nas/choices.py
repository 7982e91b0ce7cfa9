"""Decisions between modules, and between inputs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from autodl.errors import PlanError, SpaceError
from autodl.nas.decisions import Conjunction, Decision, When
from autodl.nas.mixing import mix, run_gated
from autodl.nas.plans import Chosen, DecisionModule, Gate, check_weights, position
from autodl.spaces import Value

Reduce = Literal["sum", "mean", "concat"]


class OpChoice(DecisionModule):
    """One of several modules.

    Args:
        candidates: name -> module; all take the same arguments and, in plans that mix, return
            tensors of one shape.
        label: of the decision; equal labels decide together.
        when: conditions on other decisions under which this one matters, besides those that
            follow from where the module stands.

    Raises:
        SpaceError: no candidates.

    Example:
        >>> op = OpChoice({"linear": nn.Linear(2, 2), "skip": nn.Identity()}, label="op")
        >>> op.decisions()[0].choices
        ('linear', 'skip')
    """

    def __init__(self, candidates: Mapping[str, nn.Module], *, label: str, when: When | None = None) -> None:
        super().__init__()
        if not candidates:
            raise SpaceError(f"OpChoice {label!r} needs at least one candidate")
        self.label = label
        self.names = tuple(candidates)
        # A list: names of candidates may hold dots, which names of modules must not.
        self.candidates = nn.ModuleList(candidates.values())
        self.set_when(when)

    def extra_repr(self) -> str:
        """Label and names."""
        return f"label={self.label!r}, choices={list(self.names)}"

    def __getitem__(self, name: str) -> nn.Module:
        return self.candidates[position(self.label, self.names, name)]

    def decisions(self) -> tuple[Decision, ...]:
        """One."""
        return (Decision(self.label, self.names, (self.when,) if self.when else ()),)

    def guards(self) -> Iterable[tuple[nn.Module, Conjunction]]:
        """A candidate runs where it is chosen."""
        return [
            (module, ((self.label, (name,)),))
            for name, module in zip(self.names, self.candidates, strict=True)
        ]

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """The chosen candidate."""
        return self.candidates[position(self.label, self.names, arch[self.label])]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The chosen candidate's output, or a mixture of outputs."""
        selection = self.selection(self.label)
        if isinstance(selection, Chosen):
            return self.candidates[position(self.label, self.names, selection.value)](*args, **kwargs)
        runs = [partial(module, *args, **kwargs) for module in self.candidates]
        if isinstance(selection, Gate):
            return run_gated(self.label, runs, selection)
        return mix(self.label, runs, selection.weights)


class FixedInputs(nn.Module):
    """What an `InputChoice` is in a realised network.

    Args:
        chosen: positions of the inputs that are used.
        reduce: what is done with several.
    """

    def __init__(self, chosen: Sequence[int], reduce: Reduce) -> None:
        super().__init__()
        self.chosen = tuple(chosen)
        self.reduce: Reduce = reduce

    def extra_repr(self) -> str:
        """What is chosen."""
        return f"chosen={self.chosen}, reduce={self.reduce!r}"

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """The chosen inputs, reduced; zeros if none is."""
        return reduced([inputs[number] for number in self.chosen], self.reduce, inputs[0])


def reduced(inputs: Sequence[Tensor], how: Reduce, like: Tensor) -> Tensor:
    """The sum, mean or concatenation (along dimension 1) of inputs; zeros like ``like`` for none."""
    if not inputs:
        return torch.zeros_like(like)
    if len(inputs) == 1:
        return inputs[0]
    if how == "concat":
        return torch.cat(list(inputs), dim=1)
    total = inputs[0]
    for other in inputs[1:]:
        total = total + other
    return total / len(inputs) if how == "mean" else total


class InputChoice(DecisionModule):
    """Some of several inputs: which earlier layers a layer reads.

    With ``n_chosen=1`` the choices are positions (0, 1, ...); with more, positions joined by "+"
    ("0+2"). With ``n_chosen=None`` any subset can be chosen, none and all included: each input
    has a decision ``label/0``, ``label/1``, ... of its own, False or True.

    Args:
        n_candidates: inputs there are.
        n_chosen: inputs that are used; None: any number.
        label: of the decision, or the prefix of several.
        reduce: "sum", "mean" or "concat" of the chosen inputs.
        when: see `OpChoice`.

    Raises:
        SpaceError: more inputs chosen than there are; "concat" of a number that is open.
    """

    def __init__(
        self,
        n_candidates: int,
        n_chosen: int | None = 1,
        *,
        label: str,
        reduce: Reduce = "sum",
        when: When | None = None,
    ) -> None:
        super().__init__()
        if n_candidates < 1 or (n_chosen is not None and not 1 <= n_chosen <= n_candidates):
            raise SpaceError(f"InputChoice {label!r}: cannot choose {n_chosen} of {n_candidates} inputs")
        if reduce not in ("sum", "mean", "concat"):
            raise SpaceError(f"InputChoice {label!r}: reduce is sum, mean or concat, got {reduce!r}")
        if n_chosen is None and reduce != "sum":
            raise SpaceError(f"InputChoice {label!r}: any number of inputs can only be summed, not {reduce}")
        self.n_candidates, self.n_chosen = n_candidates, n_chosen
        self.label = label
        self.reduce: Reduce = reduce
        self.set_when(when)

    def extra_repr(self) -> str:
        """What is asked."""
        return f"{self.n_candidates}, n_chosen={self.n_chosen}, label={self.label!r}, reduce={self.reduce!r}"

    @property
    def subsets(self) -> list[tuple[int, ...]]:
        """Positions that can be chosen together, in the order of the choices."""
        return list(itertools.combinations(range(self.n_candidates), self.n_chosen or 1))

    def decisions(self) -> tuple[Decision, ...]:
        """One, or one for each input."""
        when = (self.when,) if self.when else ()
        if self.n_chosen is None:
            return tuple(Decision(label, (False, True), when) for label in self._bits())
        return (Decision(self.label, self._names(), when),)

    def _bits(self) -> list[str]:
        return [f"{self.label}/{number}" for number in range(self.n_candidates)]

    def _names(self) -> tuple[Value, ...]:
        if self.n_chosen == 1:
            return tuple(range(self.n_candidates))
        return tuple("+".join(map(str, subset)) for subset in self.subsets)

    def _chosen(self, value: Callable[[str], Value]) -> tuple[int, ...]:
        if self.n_chosen is None:
            chosen = [position(bit, (False, True), value(bit)) for bit in self._bits()]
            return tuple(number for number, is_used in enumerate(chosen) if is_used)
        return self.subsets[position(self.label, self._names(), value(self.label))]

    def realised(self, arch: Mapping[str, Value], *, fresh: bool) -> nn.Module:
        """The same inputs in every call."""
        return FixedInputs(self._chosen(arch.__getitem__), self.reduce)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """The chosen inputs, reduced.

        Raises:
            PlanError: not as many inputs as declared, or a mixture of concatenations.
        """
        if len(inputs) != self.n_candidates:
            raise PlanError(f"{self.label!r} chooses among {self.n_candidates} inputs, got {len(inputs)}")
        if self.n_chosen is None:
            return self._any_number(inputs)
        selection = self.selection(self.label)
        if isinstance(selection, Chosen):
            chosen = self.subsets[position(self.label, self._names(), selection.value)]
            return reduced([inputs[number] for number in chosen], self.reduce, inputs[0])
        if self.reduce == "concat" and (self.n_chosen or 1) > 1:
            raise PlanError(f"{self.label!r} concatenates its inputs, which cannot be mixed; use OneHot")
        runs = [
            partial(reduced, [inputs[number] for number in subset], self.reduce, inputs[0])
            for subset in self.subsets
        ]
        if isinstance(selection, Gate):
            return run_gated(self.label, runs, selection)
        return mix(self.label, runs, selection.weights)

    def _any_number(self, inputs: Sequence[Tensor]) -> Tensor:
        used = []
        for bit, tensor in zip(self._bits(), inputs, strict=True):
            selection = self.selection(bit)
            if isinstance(selection, Chosen):
                if position(bit, (False, True), selection.value):
                    used.append(tensor)
                continue
            runs = [partial(torch.zeros_like, tensor), partial(torch.clone, tensor)]
            if isinstance(selection, Gate):
                used.append(run_gated(bit, runs, selection))
            elif check_weights(bit, 2, selection.weights)[1] != 0:
                used.append(selection.weights[1].to(tensor.device) * tensor)
        return reduced(used, "sum", inputs[0])
