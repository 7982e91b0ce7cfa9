"""What the tests of the tasks share: classifiers that are fitted once."""

from __future__ import annotations

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from autodl import ImageClassifier
from tests.tasks import made


class Digits:
    """Scikit-learn's 8x8 digits: flat float rows with values in [0, 16]."""

    def __init__(self) -> None:
        self.X, self.y = load_digits(return_X_y=True)
        self.train = self.X[:200], self.y[:200]
        self.test = self.X[200:300], self.y[200:300]


@pytest.fixture(scope="session")
def digits() -> Digits:
    return Digits()


@pytest.fixture(scope="session")
def fitted(digits: Digits) -> ImageClassifier:
    """Two trials of small residual networks; tests must not change it."""
    return ImageClassifier(num_trials=2, epochs=2, verbosity=0).fit(*digits.train)


@pytest.fixture(scope="session")
def colours() -> ImageClassifier:
    """A linear network, fitted to blue and red; tests must not change it."""
    images = [Image.fromarray(made.patch(name, i)) for i in range(12) for name in ("blue", "red")]
    return made.quick(net=made.linear(classes=2), epochs=6, seed=1).fit(images, ["blue", "red"] * 12)
