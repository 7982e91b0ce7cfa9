"""Archives are read in place: no byte goes to disk, no path leads out."""

from __future__ import annotations

import io
import os
import pickle
import stat
import tarfile
import zipfile

import pytest

from autodl.data import decode, read_images
from autodl.data.scan import read_all
from autodl.errors import DataError, EmptyDataError
from tests.data import made

IMAGE = made.encode(made.picture())


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_tar(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture(params=["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def archive(request, tmp_path):
    """A writer of one kind of archive."""
    path = tmp_path / f"photos.{request.param}"
    if request.param == "zip":
        return lambda members: write_zip(path, members)
    return lambda members: write_tar(path, members, f"w:{request.param[4:]}")


def ignored(path):
    return {file.name: file.reason for file in read_images(path).ignored}


def test_classes_and_pixels(archive, tmp_path):
    members = {
        f"photos/{name}/{i}.png": made.encode(made.picture(seed=i)) for name in ("ä", "b") for i in range(3)
    }
    path = archive(members)
    before = sorted(os.listdir(tmp_path))
    table = read_images(path)
    assert {item.label for item in table.items} == {"ä", "b"}
    assert (decode(table.items[1].source).pixels == made.picture(seed=1)).all()
    assert len(read_all(table, size=8, num_threads=3).kept) == 6
    assert sorted(os.listdir(tmp_path)) == before


def test_what_is_passed_over_and_what_is_reported(archive):
    path = archive(
        {
            "a/1.png": IMAGE,
            "b/1.png": IMAGE,
            "b/notes.txt": b"hi",
            "inner.zip": b"PK",
            "__MACOSX/a/._1.png": b"x",
            "b/.DS_Store": b"x",
        }
    )
    assert ignored(path) == {"b/notes.txt": "not an image", "inner.zip": "archive inside the data"}


def test_paths_that_lead_out_are_never_followed(archive, tmp_path):
    path = archive(
        {"a/1.png": IMAGE, "b/1.png": IMAGE, "../evil.png": IMAGE, "/abs.png": IMAGE, "b/../../e.png": IMAGE}
    )
    reasons = ignored(path)
    assert set(reasons.values()) == {"path that leads out of the archive"}
    assert len(reasons) == 3
    assert not (tmp_path.parent / "evil.png").exists()


def test_links_and_devices_in_a_tar_are_ignored(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"a/1.png": IMAGE, "b/1.png": IMAGE})
    with tarfile.open(path, "a") as archive:
        for name, kind in (("b/link.png", tarfile.SYMTYPE), ("b/pipe.png", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert ignored(path) == {"b/link.png": "not a regular file", "b/pipe.png": "not a regular file"}


def test_links_in_a_zip_are_ignored(tmp_path):
    link = zipfile.ZipInfo("b/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/1.png", IMAGE)
        archive.writestr("b/1.png", IMAGE)
        archive.writestr(link, "/etc/passwd")
    assert ignored(tmp_path / "a.zip") == {"b/link.png": "not a regular file"}


def test_a_member_that_unpacks_to_too_much_is_ignored(archive, monkeypatch):
    monkeypatch.setattr("autodl.data.archives.MAX_MEMBER_BYTES", 5_000)
    path = archive({"a/1.png": IMAGE, "b/1.png": IMAGE, "b/bomb.png": b"\0" * 6_000})
    assert list(ignored(path)) == ["b/bomb.png"]


def test_a_compressed_tar_too_large_for_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("autodl.data.archives.MAX_MEMORY_BYTES", 10)
    path = write_tar(tmp_path / "a.tar.gz", {"a/1.png": IMAGE}, "w:gz")
    with pytest.raises(DataError, match="unpack it, or use a zip"):
        read_images(path)


def test_a_damaged_member_is_a_bad_image(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a/1.png": IMAGE, "b/1.png": IMAGE})
    content = bytearray(path.read_bytes())
    at = content.index(b"b/1.png") + 30
    content[at : at + 20] = b"\xff" * 20
    path.write_bytes(content)
    report = read_all(read_images(path), size=8)
    assert [issue.name for issue in report.skipped] == ["b/1.png"]


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
@pytest.mark.parametrize("content", [b"", b"no archive", os.urandom(0) + b"\x1f\x8b\x08\x00rubbish" * 9])
def test_a_damaged_archive(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        read_images(tmp_path / name)


def test_a_cut_off_archive(tmp_path):
    members = {f"{c}/{i}.png": made.encode(made.picture(64, 64, seed=i)) for c in "ab" for i in range(9)}
    for path in (
        write_zip(tmp_path / "a.zip", members),
        write_tar(tmp_path / "a.tar.gz", members, "w:gz"),
    ):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(DataError, match=r"damaged|cannot be read"):
            read_images(path)


def test_an_encrypted_archive(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a/1.png": IMAGE})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="encrypted"):
        read_images(path)


def test_an_archive_without_images(archive):
    with pytest.raises(EmptyDataError, match="there is no image"):
        read_images(archive({"readme.txt": b"hi"}))


def test_sources_pickle_without_open_files(archive):
    table = read_images(archive({"a/1.png": IMAGE, "b/1.png": IMAGE}))
    decode(table.items[0].source)
    copy = pickle.loads(pickle.dumps(table))
    assert (decode(copy.items[1].source).pixels == made.picture()).all()
    assert copy.fingerprint() == table.fingerprint()


def test_an_archive_without_its_suffix_is_recognised(tmp_path):
    write_zip(tmp_path / "download", {"a/1.png": IMAGE, "b/1.png": IMAGE})
    assert len(read_images(tmp_path / "download")) == 2
