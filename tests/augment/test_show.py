from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from autodl.augment.policy import Policy
from autodl.augment.policy_base import BatchPolicy
from autodl.augment.show import show_weights
from autodl.errors import DataError, EmptyDataError, OptionError
from tests.augment.made_policies import POLICIES, name_of, noise


def axes_of(figure: Figure) -> tuple[list[object], object]:
    """Axes of the images, axes of the bars."""
    *cells, bars = figure.axes
    return cells, bars


@pytest.mark.parametrize("policy", [POLICIES[0], POLICIES[-1], POLICIES[6]], ids=name_of)
def test_draws_before_and_after_and_the_weights(policy: BatchPolicy):
    images = noise(3)
    figure = policy.show(images, draws=2)
    cells, bars = axes_of(figure)
    assert len(cells) == 3 * 3
    before = np.asarray(cells[0].images[0].get_array())  # type: ignore[attr-defined]
    assert (before == images[0].permute(1, 2, 0).numpy()).all()
    assert [t.get_text() for t in bars.get_yticklabels()] == list(policy.op_weights())  # type: ignore[attr-defined]
    figure.savefig(io.BytesIO(), format="png", dpi=40)


def test_captions_say_what_was_done():
    figure = Policy([[("Invert", 1.0, 0.0), ("Rotate", 1.0, 0.5, 1)]]).show(noise(1, channels=1)[0], draws=1)
    before, after = axes_of(figure)[0]
    assert before.get_xlabel() == ""  # type: ignore[attr-defined]
    assert after.get_xlabel() == "Invert\nRotate 15°"  # type: ignore[attr-defined]
    figure = Policy().show(noise(2), draws=1)
    assert axes_of(figure)[0][1].get_xlabel() == "unchanged"  # type: ignore[attr-defined]


def test_a_seed_draws_the_same_picture_and_six_images_at_most():
    first, second, other = (POLICIES[0].show(noise(9), seed, draws=1) for seed in (1, 1, 2))
    labels = [[ax.get_xlabel() for ax in figure.axes] for figure in (first, second, other)]
    assert labels[0] == labels[1] != labels[2]
    assert len(first.axes) == 6 * 2 + 1


def test_weights_alone():
    figure = show_weights({"Rotate": 0.75, "Invert": 0.25})
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0.75, 0.25]
    assert "leaves images as they are" in show_weights({}).axes[0].texts[0].get_text()


def test_nothing_to_show():
    with pytest.raises(EmptyDataError, match="no image to show a policy on"):
        POLICIES[0].show(noise(0))
    with pytest.raises(DataError, match="uint8 pixels"):
        POLICIES[0].show(noise(1).float())
    for draws in (0, 13):
        with pytest.raises(OptionError, match="draws must be"):
            POLICIES[0].show(noise(1), draws=draws)
