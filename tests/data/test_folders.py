"""Class folders as they lie on disks: odd names, links, hidden and foreign files."""

from __future__ import annotations

import os
import stat

import pytest

from autodl.data import read_images
from autodl.errors import DataError, EmptyDataError
from tests.data import made


def found(path, **options):
    return {(item.name, item.label, item.split) for item in read_images(path, **options).items}


def ignored(path):
    return {file.name: file.reason for file in read_images(path).ignored}


def test_a_folder_per_class(tmp_path):
    table = read_images(made.class_folders(tmp_path))
    assert [(item.name, item.label) for item in table.items] == [
        *((f"cat/{i}.png", "cat") for i in range(3)),
        *((f"dog/{i}.png", "dog") for i in range(3)),
    ]


def test_non_ascii_and_very_long_names(tmp_path):
    names = ("größe", "猫", "x" * 200)
    for name in names:
        made.write(tmp_path / name / ("ü" * 100 + ".png"))
    assert {item.label for item in read_images(tmp_path).items} == set(names)


def test_a_name_that_is_no_unicode_can_be_shown_and_read(tmp_path):
    folder = os.fsencode(tmp_path / "a")
    os.makedirs(folder)
    made.write(tmp_path / "b" / "1.png")
    with open(os.path.join(folder, b"\xff\xfe.png"), "wb") as stream:
        stream.write(made.encode(made.picture()))
    table = read_images(tmp_path)
    assert table.items[0].name.encode("utf-8") == "a/\ufffd\ufffd.png".encode()
    assert table.items[0].source.exists()


def test_a_deep_tree(tmp_path):
    deep = tmp_path / "a"
    for _ in range(300):
        deep = deep / "d"
    made.write(deep / "1.png")
    made.write(tmp_path / "b" / "1.png")
    assert {item.label for item in read_images(tmp_path).items} == {"a", "b"}


def test_link_loops_end_and_are_reported(tmp_path):
    root = made.class_folders(tmp_path / "data", count=1)
    (root / "cat" / "loop").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    (root / "cat" / "self.png").symlink_to(root / "cat" / "self.png")
    table = read_images(root)
    assert {item.name for item in table.items} == {"cat/0.png", "dog/0.png", "cat/self.png"}
    reasons = {file.name: file.reason for file in table.ignored}
    assert reasons == {"cat/loop": "link to a folder that was read already", "self": "not a regular file"}


def test_linked_folders_and_files_are_followed(tmp_path):
    made.class_folders(tmp_path / "elsewhere")
    root = tmp_path / "data"
    root.mkdir()
    (root / "hound").symlink_to(tmp_path / "elsewhere" / "dog")
    (root / "one").mkdir()
    (root / "one" / "a.png").symlink_to(tmp_path / "elsewhere" / "cat" / "0.png")
    assert {item.label for item in read_images(root).items} == {"hound", "one"}


def test_a_broken_link_is_a_missing_image(tmp_path):
    root = made.class_folders(tmp_path)
    (root / "cat" / "gone.png").symlink_to(root / "nowhere.png")
    assert "cat/gone.png" in read_images(root).names


def test_hidden_files_are_passed_over_and_others_reported(tmp_path):
    root = made.class_folders(tmp_path)
    made.write(root / "cat" / "._0.png")
    made.write(root / ".thumbnails" / "0.png")
    made.write(root / "__MACOSX" / "cat" / "0.png")
    (root / "cat" / "Thumbs.db").touch()
    (root / "cat" / "notes.txt").write_text("hi")
    (root / "labels.csv").write_text("a,b")
    (root / "old.zip").touch()
    os.mkfifo(root / "pipe")
    assert ignored(root) == {
        "cat/notes.txt": "not an image",
        "labels.csv": "table",
        "old.zip": "archive inside the data",
        "pipe": "not a regular file",
    }
    assert len(read_images(root)) == 6


def test_images_without_a_suffix_are_found_by_their_first_bytes(tmp_path):
    root = made.class_folders(tmp_path)
    (root / "cat" / "0000123").write_bytes(made.encode(made.picture(seed=5)))
    (root / "cat" / "0000124").write_bytes(b"nothing of the kind")
    assert "cat/0000123" in read_images(root).names
    assert ignored(root) == {"cat/0000124": "not an image"}


def test_images_beside_class_folders_are_reported_and_count_for_prediction(tmp_path):
    root = made.class_folders(tmp_path)
    made.write(root / "stray.png")
    assert ignored(root) == {"stray.png": "image outside every class folder"}
    everything = read_images(root, labelled=False)
    assert "stray.png" in everything.names
    assert not everything.is_labelled


def test_an_unreadable_subfolder_is_reported(tmp_path, monkeypatch):
    root = made.class_folders(tmp_path)
    real = os.scandir

    def scandir(path):
        if os.path.basename(path) == "dog":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert ignored(root) == {"dog": "folder cannot be read: Permission denied"}
    monkeypatch.setattr(os, "scandir", lambda path: (_ for _ in ()).throw(PermissionError(13, "no")))
    with pytest.raises(DataError, match="no permission to read the folder"):
        read_images(root)


def test_a_read_only_folder_can_be_read(tmp_path):
    root = made.class_folders(tmp_path / "data")
    root.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert len(read_images(root)) == 6
    finally:
        root.chmod(stat.S_IRWXU)


@pytest.mark.parametrize(
    ("file", "message"),
    [(None, "it is empty"), ("a.txt", r"only 1 other files: a\.txt"), ("labels.csv", "give its own path")],
)
def test_no_image_is_an_error_that_says_what_is_there(tmp_path, file, message):
    if file:
        (tmp_path / file).touch()
    with pytest.raises(EmptyDataError, match=message):
        read_images(tmp_path)
