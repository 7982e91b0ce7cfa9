"""Whose plan counts: nesting, two networks, replicas of DataParallel, threads."""

import threading

import pytest
import torch
from torch import nn

from autodl.errors import PlanError
from autodl.nas import Gated, Mask, OneHot, OpChoice, Plan, Soft, active


def net(scale: float = 1.0) -> nn.Module:
    class Times(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.factor

    return nn.Sequential(OpChoice({"one": Times(scale), "two": Times(2 * scale)}, label="op"))


ONE = torch.ones(1)


def test_innermost_plan_counts_and_is_taken_back():
    model = net()
    with active(model, OneHot({"op": "one"})):
        with active(model, OneHot({"op": "two"})):
            assert model(ONE).item() == 2
        assert model(ONE).item() == 1
    with pytest.raises(PlanError, match=r"leaves 'op' open.*realise"):
        model(ONE)


def test_plan_is_taken_back_after_an_error():
    model = net()
    with pytest.raises(ZeroDivisionError), active(model, OneHot({"op": "one"})):
        _ = 1 / 0
    with pytest.raises(PlanError):
        model(ONE)


def test_two_networks_with_equal_labels_have_a_plan_each():
    teacher, student = net(), net(10)
    with active(teacher, OneHot({"op": "two"})), active(student, OneHot({"op": "one"})):
        assert (teacher(ONE).item(), student(ONE).item()) == (2, 10)


def test_plans_that_do_not_fit_are_named():
    model = net()
    with pytest.raises(PlanError, match="1 labels that the network does not decide: oq; its labels: op"):
        with active(model, OneHot({"oq": "one"})):
            pass
    with active(model, Plan({})), pytest.raises(PlanError, match="says nothing about 'op'"):
        model(ONE)
    with active(model, OneHot({"op": "three"})), pytest.raises(PlanError, match="'three' for 'op'"):
        model(ONE)
    with active(model, Soft({"op": torch.ones(3)})), pytest.raises(PlanError, match=r"2 choices.*\(3,\)"):
        model(ONE)
    with (
        active(model, Soft({"op": torch.zeros(2)})),
        pytest.raises(PlanError, match="are 0"),
    ):
        model(ONE)
    with active(model, Gated({"op": (torch.ones(2), 5, ())})), pytest.raises(PlanError, match="2 choices"):
        model(ONE)


def test_joined_plans():
    plan = OneHot({"a": 1, "b": 2}) | Mask({"b": torch.ones(2)})
    assert list(plan) == ["a", "b"] and len(plan) == 2
    assert type(plan["b"]).__name__ == "Weighted"


def replicas(model: nn.Module, count: int) -> list[nn.Module]:
    """As `torch.nn.parallel.replicate` builds them, without its copies between devices."""
    made = []
    for _ in range(count):
        copies = {module: module._replicate_for_data_parallel() for module in model.modules()}
        for module, replica in copies.items():
            for name, child in module._modules.items():
                replica._modules[name] = copies[child]
        made.append(copies[model])
    return made


def test_replicas_of_dataparallel_follow_the_callers_plan_in_their_threads():
    model = net()
    with active(model, OneHot({"op": "two"})):
        both = replicas(model, 2)
    found: list[float] = []
    threads = [threading.Thread(target=lambda r=r: found.append(r(ONE).item())) for r in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [2, 2]
    with pytest.raises(PlanError):  # the original carries nothing
        model(ONE)
    with active(model, OneHot({"op": "one"})):
        assert model(ONE).item() == 1


def test_thread_started_within_a_block_has_no_plan():
    model = net()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            model(ONE)
        except PlanError as error:
            errors.append(error)

    with active(model, OneHot({"op": "two"})):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(errors) == 1
