import copy
import gc
import pickle

import pytest

from autodl.errors import ConfigError, SpaceError
from autodl.spaces import Categorical, Dict, Int, Real, args, func, obj
from autodl.spaces.decorators import Args, DryReporter, TunableFunction

BUILT = []


@obj(width=Int(1, 9))
class Net:
    def __init__(self, width, fail=False):
        BUILT.append(width)
        if fail:
            raise AttributeError("the user's own mistake")
        self.width = width


@args(lr=Real(0.01, 1, log=True), net=Net(), broken=Net(fail=True), epochs=3, sizes=[1])
def train(args, reporter):
    """Train."""
    for epoch in reporter.epochs(args.epochs):
        reporter(epoch=epoch, accuracy=args.lr * epoch)
    return args


@pytest.fixture(autouse=True)
def _nothing_built():
    BUILT.clear()


def test_objects_are_built_on_first_use_and_once():
    seen = train.run({"net/width": 4}, DryReporter())
    assert BUILT == []
    assert seen.net is seen.net is seen["net"]
    assert BUILT == [4]
    assert train.run({}, DryReporter()).net is not seen.net


def test_a_call_by_hand_uses_defaults_overrides_and_a_reporter():
    reporter = DryReporter()
    assert train(reporter, lr=0.5, epochs=2).lr == 0.5
    assert reporter.history == [{"epoch": 1, "accuracy": 0.5}, {"epoch": 2, "accuracy": 1.0}]
    train(reporter=reporter, epochs=1)
    assert reporter.history[-1] == {"epoch": 1, "accuracy": 0.1}
    assert train().lr == 0.1
    assert train(net=Net(width=7)).net.width == 7


def test_a_dry_reporter_offers_what_a_real_one_does():
    reporter = DryReporter()
    folder = reporter.checkpoint_dir
    (folder / "x").write_text("kept while the reporter lives")
    assert reporter.checkpoint_dir == folder
    reporter.save({"epoch": 1})
    assert reporter.load() is None
    assert (reporter.trial_id, reporter.attempt, reporter.seed, reporter.time_left_s) == (0, 1, 0, None)
    del reporter
    gc.collect()
    assert not folder.exists()


def test_update_makes_another_and_leaves_this_one():
    other = train.update(lr=0.3, net=Net(width=2))
    assert isinstance(other, TunableFunction)
    assert other.space.labels == ("broken/width",)
    assert train.space.labels == ("lr", "net/width", "broken/width")
    with pytest.raises(SpaceError, match="train has no 'rl'; it has lr, net, broken, epochs, sizes"):
        train.update(rl=0.1)
    with pytest.raises(AttributeError, match=r"train\.update"):
        train.space = None


def test_run_checks_the_config():
    with pytest.raises(ConfigError, match="lr: must lie in"):
        train.run({"lr": 5.0}, None)
    with pytest.raises(ConfigError, match="unknown label"):
        train.run({"momentum": 5.0}, None)


def test_args_reads_as_attributes_and_as_a_mapping():
    seen = train(net=3, broken=None)
    assert dict(seen) == {"lr": 0.1, "net": 3, "broken": None, "epochs": 3, "sizes": [1]}
    assert (lambda lr, **rest: lr)(**seen) == 0.1
    assert list(seen) == ["lr", "net", "broken", "epochs", "sizes"] and len(seen) == 5
    assert seen.get("nothing", 7) == 7 and "lr" in seen and "nothing" not in seen
    assert seen.config == {"lr": 0.1} and repr(seen) == "Args({'lr': 0.1})"
    with pytest.raises(KeyError):
        seen["nothing"]
    with pytest.raises(AttributeError, match="args has no 'momentum'; it has lr, net"):
        _ = seen.momentum
    with pytest.raises(AttributeError, match="args is immutable"):
        seen.lr = 3


def test_looking_for_a_name_does_not_build():
    seen = train()
    assert "net" in seen and list(seen)
    assert BUILT == []


def test_an_error_in_a_constructor_comes_out_as_it_is():
    with pytest.raises(AttributeError, match="the user's own mistake"):
        _ = train().broken


def test_runs_do_not_share_constants():
    first, second = train(), train()
    first.sizes.append(2)
    assert second.sizes == [1] == train().sizes


def test_args_and_functions_survive_pickling_and_copying():
    seen = train.run({"net/width": 5}, DryReporter())
    twin = pickle.loads(pickle.dumps(seen))
    assert isinstance(twin, Args) and twin.net.width == 5 and twin.config == seen.config
    assert pickle.loads(pickle.dumps(train)) == train == copy.deepcopy(train)
    assert train != train.update(lr=0.1) and hash(train) == hash(train.update(lr=0.1))


def test_the_decorated_function_keeps_its_name_and_text():
    assert (train.__name__, train.__doc__, train.__module__) == ("train", "Train.", __name__)
    assert train.function.__qualname__ == "train.function"
    assert repr(train).startswith("<autodl TunableFunction train(lr=Real(0.01, 1.0, log=True")


def test_no_space_at_all_is_fine():
    @args()
    def constant(args, reporter):
        return len(args)

    assert constant() == 0 and constant.space.labels == ()


@pytest.mark.parametrize("name", ["config", "items", "reporter", "_private"])
def test_names_that_args_needs_are_refused(name):
    with pytest.raises(SpaceError, match=f"'{name}' cannot name a parameter"):
        args(**{name: 1})


@pytest.mark.parametrize(
    ("misuse", "message"),
    [
        (lambda: args(print), r"write @args\(lr=...\), or @args\(\)"),
        (lambda: obj(Net.cls), "obj takes keyword arguments only"),
        (lambda: func(print), "func takes keyword arguments only"),
        (lambda: args()(Net.cls), "for a class there is obj"),
        (lambda: obj()(print), "for a function there is func"),
        (lambda: func()(3), "func decorates functions, got 3"),
    ],
)
def test_misuse_says_what_to_write(misuse, message):
    with pytest.raises(SpaceError, match=message):
        misuse()


def test_conditional_objects_in_args():
    @args(net=Categorical(Net(), Net(width=3), "none"), block=Dict(kernel=Categorical(3, 5)))
    def choose(args, reporter):
        return args.net, args.block

    assert choose.space.labels == ("net", "net/Net/width", "block/kernel")
    net, block = choose.run({"net": "Net", "net/Net/width": 8, "block/kernel": 5}, None)
    assert net.width == 8 and block == {"kernel": 5}
    assert choose.run({"net": "none"}, None)[0] == "none"
