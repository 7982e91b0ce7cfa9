import numpy as np
import pytest

from autodl.errors import ConfigError, SpaceError
from autodl.spaces import Bool, Categorical, Dict, Int, List, Real, SearchSpace, obj

SPACE = SearchSpace(
    {
        "lr": Real(1e-3, 1e-1, log=True),
        "net": Categorical("mlp", Dict(depth=Int(1, 9), norm=Bool())),
        "batch": Categorical(16, 32),
    }
)


@obj(width=Int(1, 9))
class Layer:
    def __init__(self, width, out=1, scale=1.0):
        self.sizes = (width, out, scale)


def test_default_and_sample_hold_active_labels_only():
    assert SPACE.default == {"lr": 0.01, "net": "mlp", "batch": 16}
    rng = np.random.default_rng(0)
    drawn = [SPACE.sample(rng) for _ in range(50)]
    assert {"net/Dict/depth" in c for c in drawn} == {True, False}
    assert all(("net/Dict/depth" in c) == (c["net"] == "Dict") == ("net/Dict/norm" in c) for c in drawn)


def test_sample_keeps_what_is_given_where_it_is_active():
    labels = {"lr": 0.05, "net": "mlp", "net/Dict/depth": 3}
    config = SPACE.sample(np.random.default_rng(0), given=labels)
    SPACE.validate(config)
    assert (config["lr"], config["net"]) == (0.05, "mlp")
    assert "net/Dict/depth" not in config
    deep = SPACE.sample(np.random.default_rng(0), given={**labels, "net": SPACE["net"].domain.names[1]})
    SPACE.validate(deep)
    assert 3 in deep.values()
    assert SPACE.sample(np.random.default_rng(1), given={}) == SPACE.sample(np.random.default_rng(1))


def test_the_same_generator_gives_the_same_configs():
    first = [SPACE.sample(np.random.default_rng(3)) for _ in range(2)]
    assert first[0] == first[1] != SPACE.sample(np.random.default_rng(4))


def test_validate_lists_every_problem_at_once():
    config = {"lr": 3.0, "net": "mlp", "net/Dict/depth": 2, "bach": 16}
    with pytest.raises(ConfigError) as caught:
        SPACE.validate(config)
    lines = str(caught.value).splitlines()
    assert lines[0] == "the config does not fit the search space, 4 problems:"
    assert lines[1:] == [
        "  lr: must lie in [0.001, 0.1], got 3.0",
        "  net/Dict/depth: not active here, it belongs where net = 'Dict'",
        "  batch: missing",
        "  bach: unknown label; did you mean 'batch'?",
    ]


def test_validate_survives_values_that_are_no_scalars():
    with pytest.raises(ConfigError, match="net: must be one of"):
        SPACE.validate({"lr": 0.01, "net": np.array([1, 2]), "batch": 16})
    with pytest.raises(ConfigError, match="a config is a mapping of labels to values, got list"):
        SPACE.validate([("lr", 0.01)])


def test_a_message_stays_readable_with_hundreds_of_problems():
    space = SearchSpace({f"x{i}": Int(0, 1) for i in range(300)})
    with pytest.raises(ConfigError, match="300 problems") as caught:
        space.validate({})
    assert str(caught.value).endswith("and 280 more")
    assert len(str(caught.value).splitlines()) == 22


def test_a_label_below_an_inactive_choice_is_inactive_even_if_its_own_choice_is_made():
    inner = Categorical({"deep": {"k": Int(1, 2)}, "flat": 0})
    space = SearchSpace({"a": Categorical({"on": {"b": inner}, "off": 0})})
    with pytest.raises(ConfigError, match=r"2 problems"):
        space.validate({"a": "off", "a/on/b": "deep", "a/on/b/deep/k": 1})


def test_complete_fills_gaps_and_turns_numpy_into_python():
    config = SPACE.complete({"net": "Dict", "lr": np.float32(0.05), "net/Dict/norm": np.bool_(True)})
    assert config == {
        "lr": pytest.approx(0.05), "net": "Dict", "net/Dict/depth": 5, "net/Dict/norm": True, "batch": 16,
    }  # fmt: skip
    assert {type(v) for v in config.values()} == {float, str, int, bool}
    with pytest.raises(ConfigError, match="not active here"):
        SPACE.complete({"net/Dict/depth": 3})
    with pytest.raises(ConfigError, match="unknown label"):
        SPACE.complete({"momentum": 3})


def test_size_counts_conditions_exactly():
    space = SearchSpace({"a": Categorical(List(Int(1, 3), 0), Dict(x=Int(1, 2), y=Bool()), "z"), "b": Bool()})
    assert space.size == (3 + 2 * 2 + 1) * 2
    assert SPACE.size is None
    assert SearchSpace({"a": Categorical("z", Real(0, 1))}).size is None
    assert SearchSpace({"a": Int(1, 10)} | {f"x{i}": Bool() for i in range(200)}).size == 10 * 2**200
    assert SearchSpace({"epochs": 3}).size == 1
    assert list(SearchSpace({"epochs": 3}).enumerate()) == [{}]


def test_enumerate_is_lazy_ordered_and_refuses_infinite_spaces():
    configs = SearchSpace({"a": Int(0, 2**50 - 1), "b": Bool()}).enumerate()
    assert [next(configs) for _ in range(3)] == [
        {"a": 0, "b": False}, {"a": 0, "b": True}, {"a": 1, "b": False},
    ]  # fmt: skip
    with pytest.raises(SpaceError, match="real values in lr"):
        SPACE.enumerate()


def test_thousands_of_labels_are_no_problem():
    space = SearchSpace({f"layer{i}": {"op": Categorical("conv", "pool")} for i in range(3000)})
    assert next(space.enumerate()) == space.default
    assert space.size == 2**3000


def test_any_space_can_be_a_root():
    assert SearchSpace(Layer()).labels == ("width",)
    assert SearchSpace([Int(1, 2), Bool()]).build({"0": 1, "1": True}) == [1, True]
    assert SearchSpace(Real(0, 1)).build({"value": 0.5}) == 0.5
    choice = SearchSpace(Categorical("mlp", Layer(out=3)))
    assert choice.labels == ("value", "value/Layer/width")
    assert choice.build({"value": "Layer", "value/Layer/width": 2}).sizes == (2, 3, 1.0)
    with pytest.raises(SpaceError, match="a search space is a mapping or a space, got 3"):
        SearchSpace(3)


def test_build_checks_the_config():
    with pytest.raises(ConfigError, match="batch: missing"):
        SPACE.build({"lr": 0.01, "net": "mlp"})


def test_build_part_builds_only_one_key_and_passes_extra_arguments_on():
    space = SearchSpace(
        {"net": Categorical("mlp", Layer(), Layer(scale=2.0)), "other": obj()(Bomb)(), "n": 3}
    )
    config = {"net": "Layer#2", "net/Layer#2/width": 4}
    built = space.build_part(config, "net", out=10, unknown=1)
    assert built.sizes == (4, 10, 2.0)
    assert space.build_part({"net": "mlp"}, "net", out=10) == "mlp"
    assert space.build_part({}, "n") == 3
    with pytest.raises(SpaceError, match="no part 'nets'; it has net, other, n"):
        space.build_part({}, "nets")


class Bomb:
    def __init__(self):
        raise AssertionError("built though nobody asked")


def test_equality_and_lookup():
    first, second = (SearchSpace({"a": Categorical("mlp", {"depth": Int(1, 2)})}) for _ in range(2))
    assert first == second != SPACE
    assert "lr" in SPACE and "nope" not in SPACE and len(SPACE) == 5
    assert SPACE["batch"].domain.choices == (16, 32)
    assert hash(SPACE) == hash(SearchSpace.from_json(SPACE.to_json()))
    assert "net/Dict/depth: Int(1, 9, default=5) where net = 'Dict'" in repr(SPACE)


def test_a_space_from_json_checks_but_does_not_build():
    copy = SearchSpace.from_json(SPACE.to_json())
    copy.validate(SPACE.default)
    with pytest.raises(SpaceError, match="came from JSON"):
        copy.build(SPACE.default)
