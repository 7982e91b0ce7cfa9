"""From data and wishes to a search: what is tried on which images."""

from __future__ import annotations

import numpy as np
import pytest

import autodl as ad
from autodl.errors import OptionError, SpaceError, UnknownNameError
from autodl.tasks import image_plan
from autodl.tasks.image_plan import CROP_FRACTION, PHOTO_SIZE, DataFacts, Wishes, make_plan
from autodl.tasks.options import PRESETS, get_preset
from tests.tasks import made

DIGITS = DataFacts(num_images=200, side=8, same_size=8, grey=True)
ICONS = DataFacts(num_images=5000, side=32, same_size=32, grey=False)
PHOTOS = DataFacts(num_images=300, side=375, same_size=None, grey=False)
HERE = ("efficientnet_lite0", "efficientnet_lite2")


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Two backbones' weights are on this machine, whichever machine it is."""
    monkeypatch.setattr(image_plan, "pretrained_networks", lambda: HERE)


def plan(facts, preset="medium", **wishes):
    return make_plan(facts, Wishes(**wishes), get_preset(preset))


def test_every_plan_is_a_search_whose_first_configs_are_valid():
    for facts in (DIGITS, ICONS, PHOTOS):
        for preset in PRESETS:
            made_plan = plan(facts, preset)
            space = made_plan.space
            space.validate(space.default)
            for config in made_plan.portfolio:
                strangers = set(config) - set(space.labels)
                assert not strangers
            for i in range(20):
                space.validate(space.sample(np.random.default_rng(i)))
            assert made_plan.cache_size >= made_plan.input_size
            assert all(0 < share <= 1 for share in made_plan.shares)


def test_small_images_are_learnt_from_scratch_as_they_are():
    for facts in (DIGITS, ICONS):
        made_plan = plan(facts)
        assert list(made_plan.recipes) == ["network"]
        assert made_plan.input_size == made_plan.cache_size == facts.same_size
        assert made_plan.recipes["network"]["net"]["name"] == "small_resnet"
        assert not made_plan.cross_validate


def test_photos_start_from_the_weights_that_are_here():
    made_plan = plan(PHOTOS)
    assert list(made_plan.recipes) == ["head", "finetune"]
    assert made_plan.input_size == PHOTO_SIZE
    assert made_plan.cache_size == round(PHOTO_SIZE / CROP_FRACTION)
    assert made_plan.cross_validate
    assert [c.get("recipe/head/backbone") for c in made_plan.portfolio][:2] == list(HERE)
    assert made_plan.portfolio[-1]["recipe"] == "finetune"
    assert not plan(DataFacts(50_000, 375, None, False)).cross_validate


def test_photos_are_learnt_from_scratch_where_no_weights_are(monkeypatch):
    monkeypatch.setattr(image_plan, "pretrained_networks", tuple)
    made_plan = plan(PHOTOS)
    assert list(made_plan.recipes) == ["network"]
    assert made_plan.input_size < made_plan.cache_size < PHOTO_SIZE
    assert list(plan(PHOTOS, weights=None).recipes) == ["network"]


def test_small_images_take_pretrained_weights_when_told_to():
    assert list(plan(ICONS, weights="pretrained").recipes) == ["head", "finetune"]


def test_images_without_colour_are_not_mirrored():
    assert plan(DIGITS).recipes["network"]["flip"] is False
    assert plan(ICONS).recipes["network"]["flip"] is True
    assert plan(DataFacts(300, 375, None, grey=True)).recipes["head"]["flip"] is False


def test_sizes_of_mixed_small_images_are_rounded_and_wishes_win():
    assert plan(DataFacts(100, 30, None, False)).input_size == 32
    assert plan(DataFacts(100, 1, None, False)).input_size == 8
    assert plan(ICONS, input_size=48).input_size == 48
    assert plan(PHOTOS, input_size=96).input_size == 96
    assert plan(DataFacts(100, 64, 64, False)).recipes.keys() == {"network"}


def test_a_network_by_name_is_the_only_one():
    assert plan(ICONS, net="resnet18").recipes["network"]["net"] == "resnet18"
    named = plan(ICONS, net="efficientnet_lite2")
    assert list(named.recipes) == ["head", "finetune"]
    assert {c.get("recipe/head/backbone", "efficientnet_lite2") for c in named.portfolio} == {
        "efficientnet_lite2"
    }


def test_no_choice_is_left_out_because_it_has_no_weights_here():
    """Of several networks all start from their weights, or all from scratch."""
    both = plan(PHOTOS, net=list(HERE))
    assert both.recipes["head"]["backbone"].choices == HERE
    for other in ("resnet18", made.linear(224)):
        net = plan(PHOTOS, net=["efficientnet_lite0", other]).recipes["network"]["net"]
        assert list(net.choices) == ["efficientnet_lite0", other]


def test_names_among_choices():
    net = made.linear()
    assert image_plan.net_names("resnet18") == ("resnet18",)
    assert image_plan.net_names(["resnet18", net]) == ("resnet18",)
    assert image_plan.net_names(ad.Categorical("resnet18", net)) == ("resnet18",)
    assert image_plan.net_names(net) == ()


def test_a_users_network_is_trained_whole():
    net = made.linear()
    made_plan = plan(PHOTOS, net=net)
    assert made_plan.recipes["network"]["net"] is net
    choice = plan(ICONS, net=[net, "small_resnet"]).recipes["network"]["net"]
    assert isinstance(choice, ad.Categorical) and len(choice.choices) == 2


def test_optimizers_by_name_by_space_and_by_factory():
    by_name = plan(ICONS, optimizer="AdamW").space
    assert "optimizer/lr" in by_name.labels
    space = plan(ICONS, optimizer=ad.optim.SGD(lr=ad.Real(0.25, 0.5))).space
    lr = next(p.domain for p in space.parameters if p.label == "optimizer/lr")
    assert (lr.low, lr.high) == (0.25, 0.5)

    def factory(params):
        raise NotImplementedError

    made_plan = plan(ICONS, optimizer=factory)
    assert made_plan.recipes["network"]["optimizer"] is factory
    assert not [label for label in made_plan.space.labels if label.startswith("optimizer")]
    assert "recipe/finetune/optimizer/lr" in plan(PHOTOS, optimizer="sgd").space.labels


def test_augmentations_by_name_none_or_of_ones_own():
    def own(images, generator):
        return images

    for wished, kept in (("crop", "crop"), (None, "none"), (own, own)):
        made_plan = plan(ICONS, augment=wished)
        assert made_plan.recipes["network"]["augment"] == kept
        assert "augment" not in made_plan.space.labels
    assert "augment" in plan(ICONS).space.labels


@pytest.mark.parametrize(
    ("wishes", "error", "words"),
    [
        ({"net": "resnet1"}, UnknownNameError, "unknown network 'resnet1'; known: small_resnet"),
        ({"net": ["small_resnet", "resnet1"]}, UnknownNameError, "resnet1"),
        ({"net": ad.Categorical("small_resnet", "resnet1")}, UnknownNameError, "resnet1"),
        ({"net": 3}, OptionError, "net takes a name"),
        ({"net": []}, SpaceError, "at least one"),
        ({"augment": "flips"}, UnknownNameError, "known: auto, none"),
        ({"augment": 3}, OptionError, "augment takes a name"),
        ({"optimizer": "adamm"}, UnknownNameError, "adamw"),
        ({"optimizer": 3}, OptionError, "optimizer takes a name"),
        ({"input_size": 0}, OptionError, "input_size is a side"),
        ({"input_size": True}, OptionError, "input_size is a side"),
        ({"input_size": 8.0}, OptionError, "input_size is a side"),
    ],
    ids=str,
)
def test_refuses_wishes_that_make_no_sense(wishes, error, words):
    for facts in (ICONS, PHOTOS):
        with pytest.raises(error, match=words):
            plan(facts, **wishes)
