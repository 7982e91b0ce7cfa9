"""A fit that searches the architecture first, or with everything else; saved, resumed, reported."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import autodl as ad
from autodl.errors import OptionError, PredictorFormatError, RunExistsError, SpaceError, UnknownNameError
from autodl.nas import FitOptions, NASResult, OpChoice, Space, Units
from autodl.nas.gradient_search import GradientOptions
from autodl.nas.spaces import ConvChain
from autodl.nas.strategies import DARTS, EngineSearch
from autodl.tasks import NASOptions
from autodl.tasks.arch_record import ArchRecord
from tests.tasks import made

CHAIN = ConvChain(layers=2, kernels=(1, 3), filters=(2, 4))
ONE_EPOCH = DARTS(options=GradientOptions(epochs=2))


class Blind(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.bias.expand(len(x), -1)


class Eyes(nn.Module):
    """Looks at the picture, or at nothing."""

    def __init__(self, num_classes: int, input_size: int) -> None:
        super().__init__()
        seeing = nn.Sequential(nn.Flatten(), nn.Linear(3 * input_size**2, num_classes))
        self.op = OpChoice({"blind": Blind(num_classes), "seeing": seeing}, label="op")

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Counting:
    """A strategy that counts its searches."""

    name = "counting"

    def __init__(self) -> None:
        self.calls: list[dict] = []

    def search(self, space, data, **settings):
        self.calls.append(settings)
        return NASResult(next(iter(space.enumerate())), [])


def test_what_is_found_is_trained_kept_and_not_searched_again(digits, tmp_path):
    run = tmp_path / "run"
    strategy = EngineSearch("random", trials=4, fit=FitOptions(epochs=5))
    first = made.quick(net=Eyes, nas=strategy, path=run, epochs=3).fit(*digits.train)
    record = first.architecture_
    assert record == ArchRecord.read(run)
    assert record.arch == {"op": "seeing"} and record.size == 2 and record.strategy == "random"
    assert record.parameters == 3 * 64 * 10 + 10
    assert len(record.steps) == 2 and first.validation_score_ > 0.5
    summary = first.fit_summary()["architecture"]
    assert json.loads(json.dumps(summary)) == summary and summary["arch"] == {"op": "seeing"}
    counting = Counting()
    again = ad.ImageClassification.resume(run, net=Eyes, nas=counting, num_trials=2)
    assert again.architecture_ == record and not counting.calls
    assert again.fit_summary()["num_trials"] == 2


def test_ctrl_c_in_the_search_ends_the_fit_and_settles_nothing(digits, tmp_path):
    class Interrupted(Counting):
        """As the engine's searchers end when Ctrl-C comes."""

        def search(self, space, data, **settings):
            result = super().search(space, data, **settings)
            result.stopped_by = "interrupted"
            return result

    with pytest.raises(KeyboardInterrupt):
        made.quick(net=Eyes, nas=Interrupted(), path=tmp_path / "run").fit(*digits.train)
    assert ArchRecord.read(tmp_path / "run") is None


def test_a_published_space_is_saved_and_loaded_without_trust(digits, tmp_path):
    run = tmp_path / "run"
    classifier = made.quick(net=CHAIN, nas=ONE_EPOCH, path=run).fit(*digits.train)
    path = classifier.save(tmp_path / "chain.autodl")
    loaded = ad.ImageClassification.load(path)
    assert np.allclose(
        loaded.predict_proba(digits.test[0]), classifier.predict_proba(digits.test[0]), atol=1e-6
    )
    assert loaded.fit_summary()["architecture"]["arch"] == classifier.architecture_.arch
    assert loaded.fit_summary()["ensemble"][0]["network"] == f"nas:{CHAIN.name}"
    assert classifier.export(tmp_path / "chain.pt2").exists()
    # The space is in the run's file, the strategy is not.
    again = ad.ImageClassification.resume(run, nas=ONE_EPOCH, num_trials=2)
    assert again.net == CHAIN and again.architecture_ == classifier.architecture_


def test_a_space_of_ones_own_needs_trust_or_the_space(digits, tmp_path):
    classifier = made.quick(net=Eyes, nas=Counting()).fit(*digits.train)
    expected = classifier.predict_proba(digits.test[0])
    path = classifier.save(tmp_path / "eyes")
    with pytest.raises(PredictorFormatError, match="trust_code"):
        ad.ImageClassification.load(path)
    for options in ({"trust_code": True}, {"net": Eyes}, {"net": Space(Eyes, num_classes=10, input_size=8)}):
        loaded = ad.ImageClassification.load(path, **options)
        assert np.allclose(loaded.predict_proba(digits.test[0]), expected, atol=1e-6)


def test_a_space_with_arguments_tells_them_to_the_file(digits, tmp_path):
    space = Space(Eyes, num_classes=10, input_size=8)
    classifier = made.quick(net=space, nas=Counting()).fit(*digits.train)
    loaded = ad.ImageClassification.load(classifier.save(tmp_path / "eyes"), trust_code=True)
    assert (loaded.predict(digits.test[0]) == classifier.predict(digits.test[0])).all()


def test_without_a_strategy_the_engine_searches_decisions_with_the_recipe(digits, tmp_path):
    classifier = made.quick(net=Eyes, num_trials=4, epochs=2).fit(*digits.train)
    seen = {trial.config["net/op"] for trial in classifier.result_.trials}
    assert seen == {"blind", "seeing"} and classifier.result_.best_config["net/op"] == "seeing"
    assert classifier.architecture_ is None and classifier.fit_summary()["architecture"] is None
    loaded = ad.ImageClassification.load(classifier.save(tmp_path / "eyes"), trust_code=True)
    assert (loaded.predict(digits.test[0]) == classifier.predict(digits.test[0])).all()


def test_conditions_are_dropped_where_they_do_not_matter(digits):
    classifier = made.quick(net=CHAIN, num_trials=2).fit(*digits.train)
    assert all(label.startswith("net/") for label in classifier.result_.best_config if "layer" in label)


def test_declared_units(digits, tmp_path):
    @ad.obj()
    class Flat(nn.Sequential):
        def __init__(self, hidden, num_classes):
            super().__init__(nn.Flatten(), nn.Linear(192, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))

    units = Flat(hidden=ad.Categorical(4, 8))
    classifier = made.quick(net=units, nas=Counting()).fit(*digits.train)
    assert classifier.architecture_.arch == {"hidden": 4}
    path = classifier.save(tmp_path / "units")
    loaded = ad.ImageClassification.load(path, net=Units(units))
    assert (loaded.predict(digits.test[0]) == classifier.predict(digits.test[0])).all()


def test_search_has_its_share_of_the_time_and_sees_no_held_out_image(digits):
    counting = Counting()
    nas = NASOptions(counting, cost="params", target=1000, share=0.25)
    classifier = made.quick(net=Eyes, nas=nas, num_trials=1, time_limit=20).fit(*digits.train)
    (settings,) = counting.calls
    assert 0 < settings["budget"].seconds <= 5 and settings["resume"]
    assert settings["objective"].target == 1000
    record = classifier.architecture_
    assert record.cost == record.parameters == 10 and record.cost_name == "params"


def test_report_shows_architecture_course_and_front(digits, tmp_path):
    nas = {
        "strategy": EngineSearch("random", trials=6, fit=FitOptions(epochs=2)),
        "cost": "macs",
        "target": 2000,
    }
    classifier = made.quick(net=CHAIN, nas=nas).fit(*digits.train)
    front = classifier.architecture_.front
    assert front and all(a.cost < b.cost and a.metric < b.metric for a, b in itertools.pairwise(front))
    html = classifier.report(tmp_path / "report.html").read_text()
    assert 'id="architecture"' in html and "ConvChain" in html
    for words in ("The architecture", "course", "Accuracy and macs"):
        assert words in html
    plain = made.quick().fit(*digits.train).report(tmp_path / "plain.html").read_text()
    assert 'id="architecture"' not in plain


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"net": "resnet18", "nas": "darts"}, UnknownNameError, "resnet18"),
        ({"net": None, "nas": "darts"}, SpaceError, "name a space"),
        ({"net": CHAIN, "nas": "drats"}, UnknownNameError, "drats"),
        ({"net": CHAIN, "nas": {"costs": 1}}, UnknownNameError, "costs"),
        ({"net": CHAIN, "nas": {"target": 3.0}}, OptionError, "needs a cost"),
        ({"net": CHAIN, "nas": {"cost": "joule"}}, UnknownNameError, "joule"),
    ],
)
def test_what_is_refused_at_once(digits, params, error, words):
    with pytest.raises(error, match=words):
        made.quick(**params).fit(*digits.train)


def test_a_run_that_was_begun_without_cannot_be_resumed_with(digits, tmp_path):
    made.quick(net=Eyes, path=tmp_path / "run").fit(*digits.train)
    with pytest.raises(RunExistsError, match="begun without"):
        ad.ImageClassification.resume(tmp_path / "run", net=Eyes, nas="random", num_trials=2)
