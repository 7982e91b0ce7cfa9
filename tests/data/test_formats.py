"""Names and first bytes of image files."""

from __future__ import annotations

import pytest
from PIL import Image

from autodl.data.formats import FORMATS, has_archive_suffix, is_wrong_suffix, looks_like_image
from tests.data import made


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "JPEG2000"])
def test_first_bytes_tell_an_image(kind):
    assert looks_like_image(made.encode(made.picture(16, 16), kind)[:16])


@pytest.mark.parametrize("head", [b"", b"BM is a company", b"RIFFxxxxWAVE", b"PK\x03\x04", b"%!PS-Adobe"])
def test_first_bytes_tell_what_is_none(head):
    assert not looks_like_image(head)


def test_formats_are_known_to_pillow_and_none_starts_a_program():
    Image.init()
    assert set(FORMATS) - set(Image.OPEN) <= {"HEIF"}
    assert not {"EPS", "WMF", "PDF"} & set(FORMATS)


@pytest.mark.parametrize(
    ("name", "image_format", "wrong"),
    [
        ("a.jpg", "PNG", True),
        ("a.jpg", "MPO", False),
        ("a.BMP", "DIB", False),
        ("a", "PNG", False),
        ("a.dat", "PNG", False),
        ("a.png", None, False),
    ],
)
def test_wrong_suffix(name, image_format, wrong):
    assert is_wrong_suffix(name, image_format) is wrong


def test_archives_by_name():
    assert has_archive_suffix("A.TAR.GZ") and has_archive_suffix("b.zip")
    assert not has_archive_suffix("zip") and not has_archive_suffix("a.gz")
