"""Decorated classes and functions, pickling included: in modules, in ``__main__``, in fresh processes."""

import copy
import os
import pickle
import subprocess
import sys
import textwrap

import pytest
import torch

from autodl.errors import ConfigError, SpaceError
from autodl.spaces import Bool, Categorical, Dict, Int, ObjectClass, ObjectSpec, Real, SearchSpace, func, obj


@obj(hidden=Int(16, 256, log=True), dropout=Real(0.0, 0.5), layers=[1])
class Net(torch.nn.Module):
    """A network."""

    built = 0

    def __init__(self, hidden, dropout=0.0, layers=(), num_classes=2):
        super().__init__()
        Net.cls.built += 1
        self.linear = torch.nn.Linear(3, num_classes)
        self.options = (hidden, dropout, num_classes)
        self.layers_given = layers

    @staticmethod
    def version():
        return 7


class Plain:
    def __init__(self, width, *rest, **options):
        self.given = (width, rest, options)


class Mixed:
    def __init__(self, first, /, second, *rest, last):
        self.given = (first, second, rest, last)


@obj(backbone=Net(dropout=0), scale=Real(0, 1))
class Head:
    def __init__(self, backbone, scale):
        self.backbone, self.scale = backbone, scale


@func(power=Int(1, 3))
def schedule(power, base=2):
    """A schedule."""
    return base**power


def test_a_call_makes_a_spec_and_builds_nothing():
    before = Net.built
    spec = Net(hidden=32)
    assert isinstance(spec, ObjectSpec) and isinstance(Net, ObjectClass)
    assert Net.built == before
    assert spec.space.labels == ("dropout",)
    assert repr(spec) == "Net(hidden=32, dropout=Real(0.0, 0.5, default=0.25), layers=[1])"


def test_overriding_leaves_the_decorator_and_other_specs_alone():
    first = Net(hidden=32)
    second = first.update(hidden=Int(1, 2), dropout=0.1)
    assert first.space.labels == ("dropout",)
    assert second.space.labels == ("hidden",)
    assert Net().space.labels == ("hidden", "dropout")
    assert Net(64) == Net(hidden=64) != Net()
    with pytest.raises(AttributeError):
        first.arguments = ()
    with pytest.raises(AttributeError, match="decorated and immutable"):
        Net.arguments = ()


def test_build_takes_a_partial_config_and_late_arguments():
    assert Net().build().options == (64, 0.25, 2)
    assert Net().build({"hidden": 20}, num_classes=5, unknown=1).options == (20, 0.25, 5)
    assert Net(num_classes=3).build(num_classes=5, dropout=0.4).options == (64, 0.4, 5)
    with pytest.raises(ConfigError, match="hidden: must lie in"):
        Net().build({"hidden": 1})


def test_two_instances_share_no_state():
    spec = Net()
    first, second = spec.build(), spec.build()
    first.layers_given.append(2)
    assert second.layers_given == [1] == spec.build().layers_given
    assert first.linear is not second.linear


def test_built_objects_are_instances_of_the_decorated_name():
    net = Net().build()
    assert isinstance(net, Net) and isinstance(net, Net.cls) and isinstance(net, torch.nn.Module)
    assert not isinstance(3, Net) and not isinstance(Net(), Net)
    assert issubclass(Net.cls, Net)
    assert Net.version() == 7
    assert Net.__doc__ == "A network." and Net.__name__ == "Net" and Net.__module__ == __name__
    with pytest.raises(AttributeError):
        _ = Net.nothing_of_the_kind


def test_a_decorated_class_can_be_subclassed():
    class Wide(Net):
        def __init__(self, hidden):
            super().__init__(hidden * 2)

    assert Wide.__mro__[1] is Net.cls
    assert Wide(8).options == (16, 0.0, 2)
    assert isinstance(Wide(8), Net)


def test_specs_nest_and_a_bare_class_counts_as_its_call():
    space = SearchSpace({"head": Head(), "net": Net, "either": Categorical(Net, Net(hidden=20), Head)})
    assert space.labels[:2] == ("head/backbone/hidden", "head/scale")
    assert space["either"].domain.choices == ("Net", "Net#2", "Head")
    assert "either/Head/backbone/hidden" in space
    built = space.build(space.default | {"head/backbone/hidden": 17})
    assert built["head"].backbone.options == (17, 0, 2)
    assert isinstance(built["net"], Net) and isinstance(built["either"], Net)


def test_functions_are_called_when_built():
    assert schedule.__doc__ == "A schedule."
    assert schedule().build({"power": 3}) == 8
    assert schedule(base=10, power=2).build() == 100
    assert schedule.function(2) == 4
    assert SearchSpace({"s": schedule}).build({"s/power": 1}) == {"s": 2}


def test_positional_arguments_find_their_names_or_keep_their_places():
    Decorated = obj(width=Int(1, 3))(Plain)
    assert Decorated(Int(5, 5), Bool(), depth=2).build().given == (5, (False,), {"depth": 2})
    assert obj()(Mixed)(1, Int(2, 2), 3, 4, last=5).build().given == (1, 2, (3, 4), 5)
    assert func()(divmod)(Int(7, 7), 2).build() == (3, 1)
    assert Decorated().build().given == (2, (), {})
    with pytest.raises(SpaceError, match="Net takes 4 positional arguments, got 5"):
        Net(1, 2, 3, 4, 5)
    with pytest.raises(SpaceError, match="Net got two values for 'hidden'"):
        Net(1, hidden=2)


def test_misspelt_arguments_are_found_where_they_are_written():
    with pytest.raises(
        SpaceError, match="Net takes no argument 'hiden'; it takes: hidden, dropout, layers, num_classes"
    ):
        Net(hiden=3)
    with pytest.raises(SpaceError, match="takes no argument 'power'"):

        @obj(power=Int(1, 2))
        class Empty:
            pass


def test_super_with_the_decorated_name_is_found_at_once():
    with pytest.raises(SpaceError, match=r"Old\.__init__ calls super\(Old.*write super\(\) without"):

        @obj()
        class Old(torch.nn.Module):
            def __init__(self):
                super(Old, self).__init__()  # noqa: UP008  # as old code has it

    assert obj()(OldButUndecorated)().build().ready


class OldButUndecorated(Plain):
    def __init__(self):
        super(OldButUndecorated, self).__init__(1)  # noqa: UP008  # as old code has it
        self.ready = True


def test_a_third_party_class_is_left_as_it_was():
    Linear = obj(out_features=Int(1, 4))(torch.nn.Linear)
    assert torch.nn.Linear.__qualname__ == "Linear"
    layer = Linear(3).build({"out_features": 2})
    assert layer.weight.shape == (2, 3)
    assert type(pickle.loads(pickle.dumps(layer))) is torch.nn.Linear


def test_copies_and_pickles_are_equal_and_whole():
    net = Net().build()
    assert type(pickle.loads(pickle.dumps(net))) is Net.cls
    assert type(copy.deepcopy(net)) is Net.cls
    for thing in (Net, Net(hidden=3), Head(), schedule, schedule(power=1), SearchSpace({"n": Head()})):
        assert pickle.loads(pickle.dumps(thing)) == thing
        assert copy.deepcopy(thing) == thing
        assert copy.copy(thing) == thing
    assert {Net(1), Net(1), Net(2)} == {Net(1), Net(2)}


def python(code, *, cwd, stdin=None):
    """Run a script's text in a fresh process; its stdout as bytes."""
    script = cwd / "script.py"
    script.write_text(textwrap.dedent(code))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(cwd), *filter(None, sys.path)])}
    done = subprocess.run(
        [sys.executable, str(script)], cwd=cwd, env=env, input=stdin, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


USER_CODE = """
    from autodl.spaces import Categorical, Int, Real, SearchSpace, args, func, obj

    class Mixin:
        pass

    @obj(hidden=Int(1, 9))
    class Net(Mixin):
        def __init__(self, hidden, twin=None):
            super().__init__()
            self.hidden = hidden
        def same_kind(self, other):
            return isinstance(other, Net)      # the name stands for the decorated class here

    @func(power=Int(1, 3))
    def schedule(power):
        return 2**power

    @args(lr=Real(0.1, 1), net=Categorical(Net(), Net(hidden=7)), schedule=schedule(), again=Net)
    def train(args, reporter):
        assert args.net.same_kind(args.again) and isinstance(args.net, Net)
        return args.net.hidden, args.schedule, type(args.net).__name__
"""

LOAD = """
    import sys, pickle
    everything = pickle.loads(sys.stdin.buffer.read())
    train, net, spec = everything["train"], everything["net"], everything["spec"]
    assert net.hidden == 4 and spec.build({"hidden": 2}).hidden == 2
    assert train.run({"net": "Net#2", "schedule/power": 3}, None) == (7, 8, "Net")
    assert everything["space"].build({"x/hidden": 3})["x"].hidden == 3
    assert isinstance(net, everything["cls"]) and everything["cls"](hidden=1).build().hidden == 1
    print("fine")
"""

DUMP = """
    everything = {{"train": train, "net": Net(hidden=4).build(), "spec": Net(), "cls": Net,
                  "space": SearchSpace({{"x": Net}})}}
    import sys, {pickle}
    sys.stdout.buffer.write({pickle}.dumps(everything))
"""


def test_cloudpickle_from_main_works_in_a_process_that_never_saw_the_code(tmp_path):
    pickled = python(USER_CODE + DUMP.format(pickle="cloudpickle"), cwd=tmp_path)
    assert python(LOAD, cwd=tmp_path, stdin=pickled).strip() == b"fine"


@pytest.mark.parametrize("library", ["pickle", "cloudpickle"])
def test_pickles_from_a_module_import_it_again(tmp_path, library):
    (tmp_path / "user_code.py").write_text(textwrap.dedent(USER_CODE))
    dump = "\n    from user_code import Net, train\n    from autodl.spaces import SearchSpace"
    pickled = python(dump + DUMP.format(pickle=library), cwd=tmp_path)
    load = "    import sys; assert 'user_code' not in sys.modules\n" + LOAD.lstrip("\n")
    load += "    assert type(net) is sys.modules['user_code'].Net.cls\n"
    assert python(load, cwd=tmp_path, stdin=pickled).strip() == b"fine"


def test_specs_of_dicts_compare_and_show():
    assert Head(scale=Dict(a=1)) == Head(scale=Dict(a=1))
    assert repr(Net).startswith("<autodl ObjectClass Net(hidden=Int(16, 256, log=True, default=64)")
