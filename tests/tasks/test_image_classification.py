"""The facade: `fit` in one call, names that mean the same, and what it refuses."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import autodl as ad
from autodl import ImageClassification, ImageClassifier
from autodl.data import Dataset
from autodl.errors import OptionError
from tests.tasks import made


def test_fit_offers_each_argument_of_the_estimator_with_the_same_default():
    facade = inspect.signature(ImageClassification.fit).parameters
    estimator = inspect.signature(ImageClassifier.__init__).parameters
    for name, parameter in estimator.items():
        if name != "self":
            assert facade[name].default == parameter.default, name
    own = inspect.signature(ImageClassifier.fit).parameters
    assert set(facade) == {*estimator, *own, "data", "aliases"} - {"self", "X"}


def test_fit_describes_every_argument():
    text = inspect.getdoc(ImageClassification.fit)
    for name in inspect.signature(ImageClassification.fit).parameters:
        assert f"{name}: " in text, name


def test_fits_in_one_call_and_resembles_the_estimator(digits):
    options = {"net": made.linear(), "num_trials": 1, "epochs": 1, "verbosity": 0}
    one = ImageClassification.fit(*digits.train, **options)
    two = ImageClassifier(**options).fit(*digits.train)
    assert isinstance(one, ImageClassifier)
    np.testing.assert_array_equal(one.predict(digits.X[:20]), two.predict(digits.X[:20]))


def test_takes_the_older_names(digits):
    classifier = ImageClassification.fit(
        *digits.train,
        net=made.linear(),
        time_limits="5m",
        num_trials=1,
        search_strategy="grid",
        preset="fast",
        epochs=1,
        verbosity=0,
    )
    assert (classifier.time_limit, classifier.searcher, classifier.presets) == ("5m", "grid", "fast")


def test_refuses_both_names_of_one_argument(digits):
    with pytest.raises(OptionError, match=r"time_limits.*time_limit"):
        ImageClassification.fit(*digits.train, time_limit=60, time_limits=30)


@pytest.mark.parametrize("name", ["epoch", "time_limt", "X"])
def test_names_an_unknown_argument_and_the_known_ones(digits, name):
    with pytest.raises(OptionError, match=f"no argument '{name}'.*tuning_data.*callbacks") as caught:
        ImageClassification.fit(*digits.train, **{name: 3})
    if name != "X":
        assert "did you mean" in str(caught.value)


def test_data_may_be_a_dataset(tmp_path):
    folder = made.colour_folder(tmp_path / "colours")
    dataset = ImageClassification.Dataset(folder)
    assert isinstance(dataset, Dataset)
    train, test = dataset.split(0.25, seed=0)
    classifier = ImageClassification.fit(
        train, net=made.linear(classes=2), num_trials=1, epochs=8, verbosity=0
    )
    assert classifier.evaluate(test)["accuracy"] == 1
    assert classifier.predict(test).tolist() == [item.label for item in test.table.items]
    assert classifier.fit_summary()["images"] == len(train)


def test_is_what_the_package_offers():
    assert ad.ImageClassification is ImageClassification
    assert ImageClassification.Estimator is ImageClassifier
