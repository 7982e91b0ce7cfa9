"""Which files are images: by suffix, and by their first bytes."""

from __future__ import annotations

import os

FORMATS = (
    "JPEG",
    "PNG",
    "GIF",
    "BMP",
    "DIB",
    "PPM",
    "WEBP",
    "TIFF",
    "AVIF",
    "JPEG2000",
    "QOI",
    "HEIF",
)
"""Pillow's names of the formats that are read. A closed list: Pillow's EPS reader starts
Ghostscript on the file, and formats without a magic number take anything for an image.
HEIF is there for who has registered a plug-in for it."""

SUFFIX_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".mpo": "JPEG",
    ".png": "PNG",
    ".apng": "PNG",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pbm": "PPM",
    ".pnm": "PPM",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
    ".jp2": "JPEG2000",
    ".j2k": "JPEG2000",
    ".qoi": "QOI",
    ".heic": "HEIF",
    ".heif": "HEIF",
}
"""The format that a suffix promises."""

_SAME = {"MPO": "JPEG", "DIB": "BMP"}

_MAGIC = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\x00",
    b"MM\x00*",
    b"qoif",
    b"\x00\x00\x00\x0cjP  ",
)

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
OTHER_ARCHIVE_SUFFIXES = (".rar", ".7z", ".gz", ".bz2", ".xz", ".zst")
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")

HEAD_BYTES = 16
"""How many first bytes `looks_like_image` wants to see."""


def suffix_of(name: str) -> str:
    """The lower-case suffix with its dot; empty if there is none."""
    return os.path.splitext(name)[1].lower()


def has_image_suffix(name: str) -> bool:
    """Whether the name promises an image."""
    return suffix_of(name) in SUFFIX_FORMATS


def has_archive_suffix(name: str) -> bool:
    """Whether the name promises an archive that can be read in place."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def looks_like_image(head: bytes) -> bool:
    """Whether the first bytes (`HEAD_BYTES` of them) are those of an image format."""
    if head.startswith(_MAGIC):
        return True
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    is_heif = head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis", b"heic", b"heix", b"mif1")
    # "BM", the file's length, four zero bytes: two letters alone would take in text files.
    is_bmp = head[:2] == b"BM" and head[6:10] == b"\0\0\0\0"
    return is_webp or is_heif or is_bmp


def is_wrong_suffix(name: str, image_format: str | None) -> bool:
    """Whether a name promises another format than the file has ("photo.jpg" that is a PNG)."""
    promised = SUFFIX_FORMATS.get(suffix_of(name))
    if promised is None or image_format is None:
        return False
    return promised != _SAME.get(image_format, image_format)
