"""The number of blocks."""

import pytest
import torch
from torch import nn

from autodl.errors import PlanError, SpaceError
from autodl.nas import Elastic, Gated, OneHot, Repeat, Soft, Space, active


class Plus(nn.Module):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 10**self.number


def body(depths: list[int]) -> Repeat:
    return Repeat(Plus, depth=Elastic(depths, label="depth"))


def test_first_blocks_run():
    net, x = body([0, 2, 3]), torch.zeros(1)
    for depth, expected in [(0, 0), (2, 11), (3, 111)]:
        with active(net, OneHot({"depth": depth})):
            assert net(x).item() == expected
        assert len(Space(net).realise({"depth": depth})) == depth


def test_mixture_of_depths_runs_each_block_once():
    net = body([1, 3])
    with active(net, Soft({"depth": torch.tensor([0.5, 0.5])})):
        assert net(torch.zeros(1)).item() == 0.5 * 1 + 0.5 * 111


def test_what_it_refuses():
    with pytest.raises(SpaceError, match="at least 0"):
        body([-1, 2])
    net = body([1, 2])
    with active(net, Gated({"depth": (torch.ones(2), 0, ())})), pytest.raises(PlanError, match="is a depth"):
        net(torch.zeros(1))
