import numpy as np
import pytest

from autodl.errors import ConfigError
from autodl.spaces import Bool, Categorical, Dict, Int, Real, SearchSpace, UnitCubeCodec


def test_log_and_bins():
    space = SearchSpace({"lr": Real(0.01, 1, log=True), "n": Int(1, 4), "act": Categorical("a", "b")})
    point = UnitCubeCodec(space).encode({"lr": 0.1, "n": 1, "act": "b"})
    assert point == pytest.approx([0.5, 0.125, 0.75])


def test_inactive_columns_are_nan_and_ignored():
    space = SearchSpace({"net": Categorical("mlp", Dict(depth=Int(1, 4))), "flip": Bool()})
    codec = UnitCubeCodec(space)
    point = codec.encode({"net": "mlp", "flip": True})
    assert np.isnan(point).tolist() == [False, True, False]
    point[1] = 0.9
    assert codec.decode(point) == {"net": "mlp", "flip": True}
    point[0], point[1] = 0.9, np.nan
    with pytest.raises(ConfigError, match="net/Dict/depth is active here, but its column is NaN"):
        codec.decode(point)


def test_wrong_shape_and_wrong_config():
    codec = UnitCubeCodec(SearchSpace({"flip": Bool()}))
    with pytest.raises(ConfigError, match=r"shape \(1,\), got \(2,\)"):
        codec.decode([0.1, 0.2])
    with pytest.raises(ConfigError, match="flip: missing"):
        codec.encode({})


def test_encode_many_stacks():
    space = SearchSpace({"flip": Bool()})
    codec = UnitCubeCodec(space)
    assert codec.encode_many(list(space.enumerate())).tolist() == [[0.25], [0.75]]
    assert codec.encode_many([]).shape == (0, 1)
