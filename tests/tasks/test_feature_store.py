"""Features in a run's cache: computed once, by one trial, for all."""

from __future__ import annotations

import time

import numpy as np
import pytest

from autodl.errors import TrialError
from autodl.models import build_network
from autodl.tasks import feature_store
from autodl.tasks.feature_store import FeatureStore
from autodl.training import extract_features
from tests.tasks import fakes, made


class Counted:
    """`extract_features`, with a note of each call; the next one may be cut short."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.cut = False

    def __call__(self, net, pixels, rows, views, **options):
        self.calls.append(views)
        if self.cut:  # one batch is done whatever the deadline says
            options |= {"deadline": 0.0, "batch_size": 4}
        self.cut = False
        return extract_features(net, pixels, rows, views, **options)


@pytest.fixture
def counted(monkeypatch):
    monkeypatch.setattr(feature_store, "extract_features", counter := Counted())
    return counter


@pytest.fixture(scope="module")
def data():
    data = made.run_data([0, 1, 2] * 7, np.zeros(21, int))
    data.pixels[:] = np.stack([made.patch("red", i) for i in range(21)])
    return data


def store(cache, data, *, name="small_resnet", weights="pretrained", seed=0):
    net = build_network("small_resnet", 3, input_size=8, width=4, blocks=1, seed=seed)
    return FeatureStore(cache, data, name, weights, net)


def direct(found, table):
    """The features of the table's rows, computed here; (n, d)."""
    return extract_features(found.net, found.data.pixels, table.rows[: table.rows_done]).values[0]


def held(asked, seconds):
    pytest.importorskip("fcntl")
    return fakes.held_lock(asked._file("centre").with_suffix(".lock"), seconds)


def test_are_those_of_the_backbone_for_all_rows_in_a_mixed_order(tmp_path, data, counted):
    asked = store(tmp_path, data)
    assert asked.find("centre") is None
    table = asked.get("centre", None)
    assert sorted(table.rows) == list(range(21))
    assert list(table.rows) != list(range(21))
    np.testing.assert_allclose(table.view("centre"), direct(asked, table), rtol=5e-3, atol=5e-3)


def test_are_computed_once_for_all_trials(tmp_path, data, counted):
    first = store(tmp_path, data).get("centre", None)
    second = store(tmp_path, data).get("centre", time.monotonic() + 60)
    found = store(tmp_path, data).find("centre")
    assert counted.calls == [("centre",)]
    for table in (second, found):
        np.testing.assert_array_equal(table.rows, first.rows)
        np.testing.assert_array_equal(table.view("centre"), first.view("centre"))


def test_each_view_backbone_and_weights_has_its_own(tmp_path, data, counted):
    table = store(tmp_path, data).get("centre", None)
    mirrored = store(tmp_path, data).get("flip", None)
    assert not np.array_equal(table.view("centre"), mirrored.view("flip"))
    store(tmp_path, data, name="other").get("centre", None)
    other = store(tmp_path, data, weights="my.pth", seed=1).get("centre", None)
    assert not np.array_equal(table.view("centre"), other.view("centre"))
    assert counted.calls == [("centre",), ("flip",), ("centre",), ("centre",)]


def test_a_part_is_taken_for_what_it_is_and_made_whole_by_the_next(tmp_path, data, counted):
    counted.cut = True
    part = store(tmp_path, data).get("centre", None)
    assert 0 < len(part.view("centre")) == part.rows_done < 21
    with held(store(tmp_path, data), 60):  # rather than wait, where there is no time for it
        again = store(tmp_path, data).get("centre", time.monotonic() + 0.1)
    assert again.rows_done == part.rows_done
    whole = store(tmp_path, data).get("centre", None)
    assert whole.rows_done == 21
    assert len(counted.calls) == 2
    np.testing.assert_array_equal(whole.rows[: part.rows_done], part.rows[: part.rows_done])
    np.testing.assert_allclose(whole.view("centre"), direct(store(tmp_path, data), whole), atol=5e-3)


def test_a_file_whose_writer_was_killed_is_not_believed(tmp_path, data, counted):
    complete = store(tmp_path, data).get("centre", None)
    expected = np.array(complete.view("centre"))
    description = next((tmp_path / "features").glob("*.json"))
    description.unlink()  # it is written last
    again = store(tmp_path, data).get("centre", None).view("centre")
    np.testing.assert_allclose(again, expected, atol=0.02)  # the precision is measured, and may differ
    assert len(counted.calls) == 2


def test_waits_for_the_trial_that_computes_them(tmp_path, data, counted):
    asked = store(tmp_path, data)
    with held(asked, 0.3):
        assert asked.get("centre", time.monotonic() + 60).rows_done == 21
    assert list((tmp_path / "features").glob("*.released"))


def test_lets_no_other_in_while_it_computes(tmp_path, data, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    refused = []

    def watched(*arguments, out, **options):
        with out.with_suffix(".lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                refused.append(out)
        return extract_features(*arguments, out=out, **options)

    monkeypatch.setattr(feature_store, "extract_features", watched)
    store(tmp_path, data).get("centre", None)
    assert len(refused) == 1


def test_gives_up_waiting_at_the_deadline(tmp_path, data, counted):
    asked = store(tmp_path, data)
    with held(asked, 60):
        started = time.monotonic()
        with pytest.raises(TrialError, match="another trial is still computing the features"):
            asked.get("centre", started + 0.2)
        assert 0.2 <= time.monotonic() - started < 10
    assert counted.calls == []


def test_a_killed_trial_blocks_nobody(tmp_path, data, counted):
    asked = store(tmp_path, data)
    with held(asked, 60) as process:
        process.kill()
        assert asked.get("centre", time.monotonic() + 60).rows_done == 21
