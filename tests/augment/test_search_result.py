from __future__ import annotations

import json

import pytest

from autodl.augment import PolicySearchResult, Split, search_policy
from autodl.augment.fold_jobs import make_result
from autodl.augment.search_result import FoldResult
from autodl.errors import OptionError
from tests.augment.made_searches import QUICK, small_digits, tiny_net


@pytest.mark.parametrize("options", [{"method": "bank"}, {"method": "fast_aa", "trials": 3}])
def test_json_holds_everything(options: dict) -> None:
    images, labels = small_digits(160)
    result = search_policy(images, labels, folds=2, net=tiny_net, theta=QUICK, **options)
    again = PolicySearchResult.from_json(result.to_json())
    assert again == result
    assert again.policy == result.policy
    assert again.summary() == result.summary()
    assert sum(result.op_weights.values()) == pytest.approx(1.0)
    assert f"{result.forwards:,}" in result.summary()


def test_other_texts_are_refused() -> None:
    with pytest.raises(OptionError, match="no search result"):
        PolicySearchResult.from_json("[]")
    with pytest.raises(OptionError, match="no search result"):
        PolicySearchResult.from_json("{")
    with pytest.raises(OptionError, match="version 99"):
        PolicySearchResult.from_json(json.dumps({"version": 99}))


def test_a_policy_without_ops_says_so() -> None:
    fold = FoldResult(0, Split([0, 1], [2]), 0.9, ((),), (1.0,), 0.9, 5, 1.0, 0.5)
    result = make_result([fold], "bank", 1.0, 1)
    assert result.op_weights == {}
    assert "ops: none, images stay as they are" in result.summary()
