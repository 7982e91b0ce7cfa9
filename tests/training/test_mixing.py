from __future__ import annotations

import pytest
import torch

from autodl.errors import OptionError
from autodl.training.mixing import BatchMixer

IMAGES = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 2, 20, 20).contiguous()
LABELS = torch.arange(8)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_off_is_false():
    assert not BatchMixer(0, 0)
    assert BatchMixer(0.2, 0) and BatchMixer(0, 1.0)


def test_mixup_is_the_convex_combination_its_labels_say():
    for seed in range(5):
        mixed = BatchMixer(1.0, 0)(IMAGES, LABELS, seeded(seed))
        expected = mixed.share * mixed.labels + (1 - mixed.share) * mixed.others
        torch.testing.assert_close(mixed.images, expected.view(8, 1, 1, 1).expand_as(IMAGES))


def test_cutmix_pastes_exactly_the_share_its_labels_say():
    shares = []
    for seed in range(20):
        mixed = BatchMixer(0, 1.0)(IMAGES, LABELS, seeded(seed))
        own = (mixed.images == mixed.labels.view(8, 1, 1, 1)).float().mean((1, 2, 3))
        different = mixed.labels != mixed.others
        assert own[different].tolist() == pytest.approx([mixed.share] * int(different.sum()), abs=1e-6)
        both = (mixed.images == mixed.labels.view(8, 1, 1, 1)) | (
            mixed.images == mixed.others.view(8, 1, 1, 1)
        )
        assert bool(both.all())
        shares.append(mixed.share)
    assert len(set(shares)) > 10 and 0.3 < sum(shares) / 20 < 0.95


def test_with_both_on_each_has_its_turn():
    kinds = set()
    for seed in range(20):
        images = BatchMixer(1.0, 1.0)(IMAGES, LABELS, seeded(seed)).images
        kinds.add("cut" if bool((images == images.round()).all()) else "mix")
    assert kinds == {"cut", "mix"}


def test_shares_follow_the_beta_distribution():
    shares = torch.tensor([BatchMixer(0.4, 0)(IMAGES, LABELS, seeded(s)).share for s in range(400)])
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.06)
    assert float(shares.var()) == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.02)  # Beta(a, a)


def test_the_batch_is_left_alone():
    before = IMAGES.clone()
    BatchMixer(1.0, 1.0)(IMAGES, LABELS, seeded(0))
    assert torch.equal(IMAGES, before)


def test_switched_off_it_mixes_nothing_and_negative_strengths_are_refused():
    mixed = BatchMixer(0, 0)(IMAGES, LABELS, seeded(0))
    assert torch.equal(mixed.images, IMAGES) and mixed.share == 1.0
    with pytest.raises(OptionError, match="cutmix must be finite and >= 0"):
        BatchMixer(0.2, -1.0)
