"""The cache: right pixels, whole or absent, reused, never inside the data."""

from __future__ import annotations

import errno
import json
import os
import pickle
import stat

import numpy as np
import pytest

from autodl.data import PixelCache, build_cache, decode, read_images
from autodl.errors import BadImageError, DataError, DataNotFoundError, OptionError
from tests.data import made


@pytest.fixture
def table(tmp_path):
    root = made.class_folders(tmp_path / "data", count=4)
    (root / "cat" / "1.png").write_bytes(b"")
    (root / "dog" / "2.png").write_bytes(b"no image")
    return read_images(root)


def test_each_row_holds_the_pixels_of_its_image(table, tmp_path):
    cache, report = build_cache(table, tmp_path / "cache", size=8, num_threads=2)
    assert cache.pixels.shape == (len(report.kept), 8, 8, 3) == (6, 8, 8, 3)
    for row, index in enumerate(report.kept):
        expected = decode(table.items[index].source, square=8).pixels
        np.testing.assert_array_equal(cache.pixels[row], expected)


@pytest.mark.parametrize("count", [1, 9, 10, 11, 99, 100, 101])
def test_the_file_is_valid_after_rows_were_dropped(tmp_path, count):
    images = [np.full((4, 4, 3), i % 256, np.uint8) for i in range(count)] + [np.zeros((0, 0), np.uint8)] * 3
    cache, report = build_cache(read_images(images), tmp_path, size=4)
    loaded = np.load(tmp_path / "pixels.npy")
    assert loaded.shape == (count, 4, 4, 3) and len(cache) == count == len(report.kept)
    np.testing.assert_array_equal(loaded[:, 0, 0, 0], np.arange(count) % 256)
    assert (tmp_path / "pixels.npy").stat().st_size == 128 + loaded.size


def test_a_second_call_reads_nothing(table, tmp_path, monkeypatch):
    first = build_cache(table, tmp_path / "cache", size=8)
    monkeypatch.setattr("autodl.data.cache.read_all", lambda *args, **kwargs: pytest.fail("read again"))
    again = build_cache(table, tmp_path / "cache", size=8)
    assert first[1].to_json() == again[1].to_json()
    np.testing.assert_array_equal(first[0].pixels, again[0].pixels)


def test_a_kept_report_with_bad_images_still_raises(table, tmp_path):
    build_cache(table, tmp_path / "cache", size=8)
    with pytest.raises(BadImageError, match=r"cat/1\.png"):
        build_cache(table, tmp_path / "cache", size=8, on_bad_image="raise")


def test_changed_data_or_size_builds_anew(table, tmp_path):
    build_cache(table, tmp_path / "cache", size=8)
    made.write(tmp_path / "data" / "cat" / "1.png", seed=77)
    mended = read_images(tmp_path / "data")
    assert len(build_cache(mended, tmp_path / "cache", size=8)[0]) == 7
    assert build_cache(mended, tmp_path / "cache", size=6)[0].pixels.shape[1] == 6


def test_a_damaged_cache_is_built_anew(table, tmp_path):
    folder = tmp_path / "cache"
    build_cache(table, folder, size=8)
    (folder / "pixels.npy").write_bytes(b"\x93NUMPY rubbish")
    assert len(build_cache(table, folder, size=8)[0]) == 6
    (folder / "cache.json").write_text("{")
    assert len(build_cache(table, folder, size=8)[0]) == 6


def test_a_pass_cut_off_by_the_deadline_is_not_taken_for_the_whole(tmp_path, monkeypatch):
    table = read_images(np.zeros((40, 5, 5), np.uint8))
    clock = iter(range(1000))
    monkeypatch.setattr("autodl.data.scan.time.monotonic", lambda: next(clock))
    cache, report = build_cache(table, tmp_path, size=4, num_threads=1, deadline=10)
    assert len(cache) == len(report.kept) == 11
    assert not (tmp_path / "cache.json").exists()
    assert len(build_cache(table, tmp_path, size=4)[0]) == 40


def test_a_failed_pass_leaves_nothing_behind(table, tmp_path):
    with pytest.raises(BadImageError):
        build_cache(table, tmp_path / "cache", size=8, on_bad_image="raise")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_full_disk_says_how_much_is_needed(table, tmp_path, monkeypatch):
    def full(fd, offset, length):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"No space left.* MB are free, 5 MB are needed") as caught:
        build_cache(table, tmp_path / "cache", size=450)
    assert not isinstance(caught.value, OSError)
    assert list((tmp_path / "cache").iterdir()) == []


def test_too_large_for_the_disk_is_known_before_anything_is_written(tmp_path):
    table = read_images(np.zeros((2, 5, 5), np.uint8))
    with pytest.raises(DataError, match="MB are needed"):
        build_cache(table, tmp_path / "cache", size=40_000_000)


def test_a_path_that_cannot_be_written(table, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write the pixel cache"):
        build_cache(table, tmp_path / "file" / "cache", size=8)


def test_the_users_folder_is_never_written_to(table, tmp_path):
    data = tmp_path / "data"

    def state():
        return sorted((str(p), p.stat().st_mtime_ns) for p in data.rglob("*"))

    before = state()
    folders = [data, *(p for p in data.rglob("*") if p.is_dir())]
    for folder in folders:
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        build_cache(table, tmp_path / "cache", size=8)
    finally:
        for folder in folders:
            folder.chmod(stat.S_IRWXU)
    assert state() == before


def test_a_cache_pickles_as_its_path(table, tmp_path):
    cache, _ = build_cache(table, tmp_path / "cache", size=8)
    packed = pickle.dumps(cache)
    assert len(packed) < 500
    np.testing.assert_array_equal(pickle.loads(packed).pixels, cache.pixels)


def test_the_map_is_read_only(table, tmp_path):
    cache, _ = build_cache(table, tmp_path / "cache", size=8)
    with pytest.raises(ValueError, match="read-only"):
        cache.pixels[0] = 0


def test_open_says_what_is_wrong(tmp_path):
    with pytest.raises(DataNotFoundError, match="no pixel cache"):
        PixelCache.open(tmp_path)
    np.save(tmp_path / "pixels.npy", np.zeros((2, 3)))
    with pytest.raises(DataError, match="no pixel cache"):
        PixelCache.open(tmp_path)


def test_the_facts_are_json_with_a_version(table, tmp_path):
    build_cache(table, tmp_path / "cache", size=8)
    facts = json.loads((tmp_path / "cache" / "cache.json").read_text())
    assert facts["version"] == 1 and facts["size"] == 8


@pytest.mark.parametrize(
    "options", [{"size": 0}, {"size": True}, {"resize": "squash"}, {"on_bad_image": "no"}]
)
def test_wrong_options(table, tmp_path, options):
    with pytest.raises(OptionError):
        build_cache(table, tmp_path / "cache", **{"size": 8, **options})


@pytest.mark.parametrize("name", ["flower_photos/train.parquet", "cifar10/test.parquet"])
def test_real_data(name, tmp_path):
    table = read_images(made.shared_file(name)).select(range(200))
    cache, report = build_cache(table, tmp_path / "cache", size=32)
    assert len(cache) == 200 and report.skipped == ()
    assert 60 < cache.pixels.mean() < 180 and cache.pixels.std() > 40
