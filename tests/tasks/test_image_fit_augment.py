"""A fit with a policy: given, searched, or compared with others; resumed, saved and reported."""

from __future__ import annotations

import json

import numpy as np
import pytest

import autodl as ad
from autodl.augment import Policy, RandAugment
from autodl.augment.gate import standard_error
from autodl.tasks import augment_gate, augment_search
from autodl.tasks.augment_record import FILE, AugmentRecord
from tests.tasks import made

INVERT = Policy([[("Invert", 0.5, 0.0)], [("Rotate", 0.7, 0.3)]])


@pytest.fixture(autouse=True)
def quick_gate(monkeypatch):
    """Comparisons from one trial on, of few images, with a search of one fold."""
    monkeypatch.setattr(augment_gate, "WORTH_COMPARING_TRIALS", 1)
    monkeypatch.setattr(augment_gate, "FEWEST_TRAINING", 20)
    monkeypatch.setattr(augment_gate, "FEWEST_HELD_OUT", 20)
    monkeypatch.setattr(augment_search, "FOLDS", 1)


@pytest.fixture
def searches(monkeypatch):
    """The searches that were made."""
    calls, search = [], augment_search.search

    def counted(*arguments, **options):
        calls.append(options)
        return search(*arguments, **options)

    monkeypatch.setattr(augment_search, "search", counted)
    return calls


def test_a_searched_policy_is_used_kept_and_not_searched_again(digits, tmp_path, searches):
    run = tmp_path / "run"
    first = made.quick(augment="fast_aa", path=run, num_trials=1).fit(*digits.train)
    record = AugmentRecord.read(run)
    assert record == first.augmentation_ and record.chosen == "fast_aa" and record.policy is not None
    assert sum(record.op_weights.values()) == pytest.approx(1.0)
    again = ad.ImageClassification.resume(run, net=made.linear(), num_trials=2)
    assert again.augmentation_ == record and len(searches) == 1
    assert again.fit_summary()["num_trials"] == 2
    summary = again.fit_summary()["augmentation"]
    assert json.loads(json.dumps(summary)) == summary
    assert (summary["asked"], summary["chosen"]) == ("fast_aa", "fast_aa")
    assert Policy.from_json(json.dumps(summary["policy"])) == record.policy


def test_auto_compares_three_and_says_so_in_the_report(digits, tmp_path):
    classifier = made.quick(path=tmp_path / "run", num_trials=1, epochs=2).fit(*digits.train)
    record = classifier.augmentation_
    assert {arm.name for arm in record.arms} == {"standard", "trivial", "fast_aa"}
    assert record.chosen == classifier.result_.trials[0].config["augment"]
    best = max(arm.score for arm in record.arms)
    margin = standard_error(best, len(classifier.data_.validation_rows()))
    assert best - margin <= next(arm.score for arm in record.arms if arm.name == record.chosen)
    page = classifier.report(tmp_path / "report.html").read_text()
    section = page[page.index('id="augmentation"') :]
    section = section[: section.index("</section>")]
    assert record.note[1:] in section and "data:image/png" in section
    for name in ("standard", "trivial", "fast_aa", *record.op_weights):
        assert name in section
    assert "autodl.augment.policy" in section


def test_the_same_seed_settles_the_same(digits, monkeypatch):
    found = augment_search.Found(INVERT, INVERT.op_weights(), "made up")
    monkeypatch.setattr(augment_search, "search", lambda *_, **__: found)
    one, same = (made.quick(num_trials=1, net=seeded()).fit(*digits.train).augmentation_ for _ in range(2))
    assert (one.policy, one.arms, one.chosen) == (same.policy, same.arms, same.chosen)


def seeded():
    net = made.linear()
    for parameter in net.parameters():
        parameter.data.fill_(0.01)
    return net


@pytest.mark.parametrize("augment", [INVERT, RandAugment(n=1)], ids=["policy", "rand"])
def test_a_policy_of_ones_own_is_kept_with_the_run(digits, tmp_path, augment):
    run = tmp_path / "run"
    classifier = made.quick(augment=augment, path=run, net="small_resnet").fit(*digits.train)
    assert classifier.augmentation_ == AugmentRecord("own", None, seconds=classifier.augmentation_.seconds)
    again = ad.ImageClassification.resume(run, num_trials=2)
    assert again.augment == augment
    page = classifier.report(tmp_path / "report.html").read_text()
    assert "What the policy does" in page


@pytest.mark.slow
def test_workers_get_the_policy(digits, tmp_path, monkeypatch):
    found = augment_search.Found(INVERT, {}, "made up")
    monkeypatch.setattr(augment_search, "search", lambda *_, **__: found)
    classifier = made.quick(augment="fast_aa", num_trials=2, num_workers=2).fit(*digits.train)
    assert all(trial.best is not None for trial in classifier.result_.trials)
    assert classifier.augmentation_.policy == INVERT


def test_a_saved_classifier_knows_its_augmentation(digits, tmp_path):
    classifier = made.quick(augment="rand", net="small_resnet").fit(*digits.train)
    loaded = ad.ImageClassification.load(classifier.save(tmp_path / "model.autodl"))
    assert loaded.fit_summary()["augmentation"]["chosen"] == "rand"
    np.testing.assert_array_equal(loaded.predict(digits.test[0]), classifier.predict(digits.test[0]))


def test_a_damaged_record_ends_a_resumed_run_with_words(digits, tmp_path):
    run = tmp_path / "run"
    made.quick(path=run, net="small_resnet", augment="crop").fit(*digits.train)
    (run / FILE).write_text("{")
    with pytest.raises(ad.errors.JournalError, match=r"augment\.json is damaged"):
        ad.ImageClassification.resume(run, num_trials=2)


def test_a_fresh_start_does_not_take_what_one_that_was_ended_early_had_settled(digits, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    AugmentRecord("fast_aa", "fast_aa", "of other images", policy=INVERT).write(run)
    first = made.quick(path=run, augment="fast_aa", net="small_resnet").fit(*digits.train)
    assert first.augmentation_.note != "of other images"
    assert AugmentRecord.read(run) == first.augmentation_


def test_a_resumed_run_takes_what_was_settled_before_its_first_trial(digits, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    settled = AugmentRecord("fast_aa", "fast_aa", "of these images", policy=INVERT)
    settled.write(run)
    again = made.quick(path=run, augment="fast_aa", net="small_resnet").fit(*digits.train, resume=True)
    assert again.augmentation_ == settled


def test_a_class_too_small_for_the_search_is_no_reason_to_have_no_policy(digits):
    images, labels = digits.train
    few = np.concatenate([np.flatnonzero(labels != 9), np.flatnonzero(labels == 9)[:3]])
    classifier = made.quick(augment="fast_aa").fit(images[few], labels[few])
    assert classifier.augmentation_.policy is not None
    assert "without 1 small class" in classifier.augmentation_.note
