"""Results on disk."""

import pytest
import torch

from autodl.errors import PredictorFormatError
from autodl.nas import NASResult, Record, Space
from autodl.testing.nas_strategies import TinyNet

ARCH = {"layer0": "conv", "layer1": "skip"}


def test_a_result_comes_back_as_it_was(tmp_path):
    space = Space(TinyNet)
    history = [Record(0, ARCH, 0.5, None, 1.0), Record(1, None, None, 3.0, 2.0, {"loss": 0.1})]
    result = NASResult(
        ARCH, history, space.realise(ARCH), {"layer0": [0.5, 0.25, 0.25]}, 0.5, 3.0, 2.0, "mine"
    )
    result.save(tmp_path / "run")
    found = NASResult.load(tmp_path / "run", space)
    assert (found.best_arch, found.history, found.probabilities) == (ARCH, history, result.probabilities)
    assert (found.metric, found.cost, found.seconds, found.strategy) == (0.5, 3.0, 2.0, "mine")
    assert all(
        torch.equal(a, b)
        for a, b in zip(found.net.state_dict().values(), result.net.state_dict().values(), strict=True)
    )
    assert NASResult.load(tmp_path / "run").net is None


def test_what_is_no_result(tmp_path):
    with pytest.raises(PredictorFormatError, match="no result"):
        NASResult.load(tmp_path)
    (tmp_path / "nas.json").write_text('{"version": 99}')
    with pytest.raises(PredictorFormatError, match="newer"):
        NASResult.load(tmp_path)
