"""Odd images come out upright, RGB and noted; unusable ones say why."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from autodl.data import decode
from autodl.data.decoding import HUGE_PIXELS, MAX_PIXELS, image_size
from autodl.data.opening import UnreadableImageError
from autodl.errors import BadImageError
from tests.data import made


def notes_of(image, kind="PNG", name="", **options):
    return decode(made.encode(image, kind, **options), name=name).notes


def test_a_plain_image_is_unchanged_and_has_no_notes():
    pixels = made.picture()
    decoded = decode(made.encode(pixels))
    np.testing.assert_array_equal(decoded.pixels, pixels)
    assert decoded.notes == ()
    assert decoded.size == (12, 16)


def test_every_kind_of_source_gives_the_same_pixels(tmp_path):
    pixels = made.picture()
    path = made.write(tmp_path / "a.png")
    for source in (path, path.read_bytes(), pixels, pixels.transpose(2, 0, 1), Image.fromarray(pixels)):
        np.testing.assert_array_equal(decode(source).pixels, pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    upright = made.picture(16, 24)
    # The stored picture is the upright one under the inverse of what the tag asks for.
    inverse = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = made.encode(np.ascontiguousarray(inverse(upright)), "PNG", exif=exif)
    decoded = decode(content)
    np.testing.assert_array_equal(decoded.pixels, upright)
    assert decoded.notes == (("exif_rotated",) if orientation > 1 else ())
    assert decoded.size == image_size(content) == (16, 24)
    np.testing.assert_array_equal(decode(content, square=16).pixels, upright[:, 4:20])


def test_damaged_exif_does_not_spoil_the_image():
    content = made.encode(made.picture(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert decode(content).pixels.shape == (12, 16, 3)


def test_cmyk_is_converted_and_noted():
    image = Image.fromarray(made.picture()).convert("CMYK")
    decoded = decode(made.encode(image, "JPEG", quality=95))
    assert decoded.notes == ("cmyk",)
    assert np.abs(decoded.pixels.astype(int) - made.picture()).mean() < 6


def test_16_bit_grey_is_scaled_not_cut_off():
    values = np.linspace(0, 65535, 144).reshape(12, 12).astype(np.uint16)
    decoded = decode(made.encode(Image.fromarray(values)))
    assert decoded.notes == ("16_bit",)
    np.testing.assert_allclose(decoded.pixels[:, :, 0], values / 257, atol=0.6)


def test_12_bit_grey_in_16_bits_is_scaled_by_its_own_white():
    values = np.linspace(0, 4095, 144).reshape(12, 12).astype(np.uint16)
    assert decode(made.encode(Image.fromarray(values))).pixels.max() == 255


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def test_16_bit_colour_is_noted_too():
    row = b"\0" + b"\x80\x00\x40\x00\x20\x00" * 8
    decoded = decode(png(8, 8, 16, 2, row * 8))
    assert decoded.notes == ("16_bit",)
    assert decoded.pixels[0, 0].tolist() == [128, 64, 32]


def test_float_tiff_is_scaled():
    values = np.linspace(0, 1, 144, dtype=np.float32).reshape(12, 12)
    decoded = decode(made.encode(Image.fromarray(values), "TIFF"))
    np.testing.assert_allclose(decoded.pixels[:, :, 0], values * 255, atol=0.6)


def test_palette_is_converted():
    image = Image.fromarray(made.picture()).quantize(64)
    assert notes_of(image) == ("palette",)
    assert decode(made.encode(image)).pixels.shape == (12, 16, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_become_white(mode):
    image = Image.new(mode, (8, 8), (10, 20, 30, 0) if mode == "RGBA" else (10, 0))
    decoded = decode(made.encode(image))
    assert decoded.notes == ("alpha",)
    assert (decoded.pixels == 255).all()


def test_a_palette_with_a_transparent_colour_becomes_white_there():
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 200, 0, 0])
    decoded = decode(made.encode(image, transparency=b"\xff\x00"))
    assert decoded.notes == ("palette", "alpha")
    assert (decoded.pixels == 255).all()


def test_an_opaque_alpha_channel_is_no_news():
    assert notes_of(Image.fromarray(made.picture()).convert("RGBA")) == ()


@pytest.mark.parametrize(("mode", "black"), [("1", 0), ("L", 0)])
def test_grey_and_black_and_white_come_out_as_rgb(mode, black):
    decoded = decode(made.encode(Image.new(mode, (9, 9), black)))
    assert decoded.pixels.shape == (9, 9, 3)
    assert (decoded.pixels == 0).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_counts(kind):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    content = made.encode(frames[0], kind, save_all=True, append_images=frames[1:])
    decoded = decode(content)
    assert "animated" in decoded.notes
    red, _, blue = decoded.pixels[8, 8]
    assert red > 240 and blue < 15


def test_a_wrong_suffix_is_noted_and_the_image_read(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(made.encode(made.picture(), "PNG"))
    assert decode(path).notes == ("wrong_extension",)
    assert notes_of(made.picture(), "PNG", name="b.gif") == ("wrong_extension",)
    assert notes_of(made.picture(), "JPEG", name="b.JPEG") == ()


def test_one_pixel_is_an_image():
    decoded = decode(made.encode(np.full((1, 1, 3), 77, np.uint8)), square=8)
    assert decoded.notes == ("tiny",)
    assert (decoded.pixels == 77).all() and decoded.pixels.shape == (8, 8, 3)


def test_20000_pixels_long_is_an_image():
    decoded = decode(made.encode(Image.new("L", (20_000, 20), 9)), square=16)
    assert decoded.notes == ("extreme_aspect",)
    assert decoded.size == (20, 20_000)
    assert decoded.pixels.shape == (16, 16, 3)


def test_a_huge_image_is_shrunk_and_noted(monkeypatch):
    monkeypatch.setattr("autodl.data.decoding.HUGE_PIXELS", 100 * 100)
    for kind in ("JPEG", "PNG"):
        decoded = decode(made.encode(made.picture(300, 500), kind))
        assert decoded.notes == ("huge",)
        assert decoded.size == (300, 500)
        assert decoded.pixels.shape[0] * decoded.pixels.shape[1] <= 100 * 100


def test_a_jpeg_of_20000_by_20000_is_read_small():
    content = jpeg_claiming(20_000, 20_000)
    assert image_size(content) == (20_000, 20_000)
    decoded = decode(content, square=32)
    assert decoded.notes == ("huge",)
    assert decoded.pixels.shape == (32, 32, 3)


def jpeg_claiming(width: int, height: int) -> bytes:
    """A tiny JPEG whose header says it is large."""
    content = bytearray(made.encode(np.zeros((8, 8, 3), np.uint8), "JPEG"))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(content)


def test_a_decompression_bomb_is_refused_unread():
    side = 60_000
    assert side * side > MAX_PIXELS > HUGE_PIXELS
    with pytest.raises(UnreadableImageError, match="60000 x 60000 pixels") as caught:
        decode(png(side, side, 8, 0, b""))
    assert caught.value.kind == "huge"


def kind_of(source) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        decode(source)
    return caught.value.kind


def test_unusable_files_are_told_apart(tmp_path):
    whole = made.encode(made.picture(64, 64), "JPEG")
    (tmp_path / "empty.jpg").touch()
    assert kind_of(tmp_path / "empty.jpg") == "zero_byte"
    assert kind_of(b"") == "zero_byte"
    assert kind_of(tmp_path / "none.jpg") == "missing"
    assert kind_of(tmp_path) == "unreadable"  # a folder
    assert kind_of(b"this is a letter, not a picture") == "unreadable"
    assert kind_of(os.urandom(0) + b"\x00\x01\x02" * 100) == "unreadable"
    assert kind_of(whole[: len(whole) // 2]) == "truncated"
    png_file = made.encode(made.picture(64, 64))
    assert kind_of(png_file[: len(png_file) // 2]) == "truncated"


def test_every_prefix_of_a_file_decodes_or_says_why():
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"):
        content = made.encode(made.picture(20, 20), kind)
        for length in range(0, len(content), 7):
            try:
                decode(content[:length])
            except BadImageError as error:
                assert str(error)


def test_random_damage_decodes_or_says_why():
    rng = np.random.default_rng(0)
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"):
        content = np.frombuffer(made.encode(made.picture(20, 20), kind), np.uint8)
        for _ in range(30):
            damaged = content.copy()
            damaged[rng.integers(0, len(content), 4)] = rng.integers(0, 256, 4)
            try:
                decode(damaged.tobytes(), square=16)
            except BadImageError as error:
                assert str(error)


def test_postscript_is_never_run():
    assert kind_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n") == "unreadable"


def test_a_named_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert kind_of(tmp_path / "pipe.jpg") == "unreadable"


def test_a_lazy_source_that_fails_is_a_bad_image():
    class Broken:
        def load(self):
            raise KeyError("no such row")

        def key(self):
            return b""

    assert kind_of(Broken()) == "unreadable"


@pytest.mark.parametrize("shape", [(5,), (5, 5, 2), (0, 4, 3), (2, 4, 4, 3)])
def test_arrays_that_are_no_image(shape):
    assert kind_of(np.zeros(shape, np.uint8)) == "unreadable"


def test_an_array_with_nan_is_a_bad_image():
    array = np.zeros((4, 4), np.float32)
    array[0, 0] = np.nan
    assert kind_of(array) == "unreadable"


def test_square_keeps_the_centre_and_the_proportions():
    wide = np.zeros((40, 100, 3), np.uint8)
    wide[:, 30:70] = 200
    assert (decode(wide, square=40).pixels == 200).all()
    assert decode(wide, square=10).pixels[2:8, 2:8].min() == 200


def test_an_image_of_the_size_asked_for_stays_bit_for_bit():
    pixels = made.picture(32, 32)
    np.testing.assert_array_equal(decode(made.encode(pixels), square=32).pixels, pixels)


def test_shrinking_a_jpeg_while_decoding_is_as_good_as_afterwards():
    content = made.encode(made.picture(1024, 1024, seed=3), "JPEG", quality=95)
    fast = decode(content, square=64).pixels.astype(int)
    full = Image.open(io.BytesIO(content)).resize((64, 64), Image.Resampling.BICUBIC)
    assert np.abs(fast - np.asarray(full)).max() <= 3


def test_a_pil_image_is_left_as_it_was():
    image = Image.fromarray(made.picture(30, 20))
    before = image.tobytes()
    decode(image, square=8)
    assert image.size == (20, 30) and image.tobytes() == before


def test_errors_survive_pickling():
    error = pickle.loads(pickle.dumps(UnreadableImageError("truncated", "12 bytes short")))
    assert (error.kind, str(error)) == ("truncated", "truncated: 12 bytes short")


def test_no_global_of_pillow_is_changed():
    limit = Image.MAX_IMAGE_PIXELS
    decode(made.encode(made.picture()))
    assert limit == Image.MAX_IMAGE_PIXELS
