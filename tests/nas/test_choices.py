"""Choices between modules and between inputs, under each plan."""

import pytest
import torch
from torch import nn

from autodl.errors import PlanError, SpaceError
from autodl.nas import Gated, InputChoice, OneHot, OpChoice, Soft, Space, active


class Counted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor, *, plus: float = 0.0) -> torch.Tensor:
        self.calls += 1
        return x + plus


def test_weights_of_zero_are_not_computed():
    op = OpChoice({"a": Counted(), "b": Counted(), "c": Counted()}, label="op")
    weights = torch.tensor([0.25, 0.0, 0.75], requires_grad=True)
    with active(op, Soft({"op": weights})):
        out = op(torch.ones(2), plus=1.0)
    assert [c.calls for c in op.candidates] == [1, 0, 1]
    assert out.tolist() == [2, 2]
    out.sum().backward()
    assert weights.grad.tolist() == [4, 0, 4]


def test_one_hot_runs_one_candidate():
    op = OpChoice({"a": Counted(), "b": Counted()}, label="op")
    with active(op, OneHot({"op": "b"})):
        op(torch.ones(2))
    assert [c.calls for c in op.candidates] == [0, 1]


INPUTS = [torch.tensor([1.0]), torch.tensor([10.0]), torch.tensor([100.0])]


@pytest.mark.parametrize(
    ("n_chosen", "reduce", "value", "expected"),
    [(1, "sum", 2, [100]), (2, "sum", "0+2", [101]), (2, "mean", "0+1", [5.5]), (3, "sum", "0+1+2", [111])],
)
def test_chosen_inputs(n_chosen, reduce, value, expected):
    choice = InputChoice(3, n_chosen, label="in", reduce=reduce)
    with active(choice, OneHot({"in": value})):
        assert choice(INPUTS).tolist() == expected
    assert Space(choice).realise({"in": value})(INPUTS).tolist() == expected


def test_concatenated_inputs_cannot_be_mixed():
    choice = InputChoice(3, 2, label="in", reduce="concat")
    rows = [x[None] for x in INPUTS]
    with active(choice, OneHot({"in": "1+2"})):
        assert choice(rows).tolist() == [[10, 100]]
    with active(choice, Soft({"in": torch.ones(3)})), pytest.raises(PlanError, match="cannot be mixed"):
        choice(rows)


def test_any_number_of_inputs():
    choice = InputChoice(3, None, label="in")
    space = Space(choice)
    assert space.size() == 8
    for arch in space.enumerate():
        expected = sum(x.item() for n, x in enumerate(INPUTS) if arch[f"in/{n}"])
        with active(choice, OneHot(arch)):
            assert choice(INPUTS).item() == expected
        assert space.realise(arch)(INPUTS).item() == expected
    gates = {f"in/{n}": torch.tensor([1 - g, g]) for n, g in enumerate([0.5, 0.0, 0.25])}
    with active(choice, Soft(gates)):
        assert choice(INPUTS).item() == 25.5
    probs = torch.full((2,), 0.5, requires_grad=True)
    with active(choice, Gated({f"in/{n}": (probs, 1, (0,)) for n in range(3)})):
        out = choice(INPUTS)
    out.backward()
    assert out.item() == 111 and probs.grad.tolist() == [0, 111]


def test_mixture_over_pairs():
    choice = InputChoice(3, 2, label="in")
    with active(choice, Soft({"in": torch.tensor([0.5, 0.5, 0.0])})):
        assert choice(INPUTS).item() == 0.5 * 11 + 0.5 * 101


def test_wrong_declarations_and_calls():
    with pytest.raises(SpaceError, match="at least one candidate"):
        OpChoice({}, label="op")
    with pytest.raises(SpaceError, match="cannot choose 4 of 3"):
        InputChoice(3, 4, label="in")
    with pytest.raises(SpaceError, match="can only be summed"):
        InputChoice(3, None, label="in", reduce="mean")
    choice = InputChoice(3, 1, label="in")
    with active(choice, OneHot({"in": 0})), pytest.raises(PlanError, match="among 3 inputs, got 2"):
        choice(INPUTS[:2])
    with active(choice, OneHot({"in": True})), pytest.raises(PlanError, match="chooses True"):
        choice(INPUTS)
