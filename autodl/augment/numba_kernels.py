"""The ops as compiled loops over the bytes of a batch; imported only where numba is installed.

Everything compiles into one function, `run_batch`, so that one cached file on disk spares the
next process the compiling. Numbers follow `torch_colour` and `geometry` step by step: floats are
float32 in the same order of operations (nothing is contracted), so the bytes are the same.
Sums of grey stay below 2^24, where float32 counts exactly, and float loops become vector code
where numba would widen integers to 64 bits.

Numbers of ops are those of `OP_NAMES`; a test compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

F32 = np.float32
ZERO, FULL = F32(0), F32(255)


def _compiled(function: Callable[..., Any]) -> Any:
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # no place that can be written to, neither here nor in the user's cache
        return njit(nogil=True, error_model="numpy")(function)


@_compiled
def _copy(src, dst):  # type: ignore[no-untyped-def]
    # numba compiles `dst[:] = src` to a slower loop, and takes longer over it.
    for i in range(src.size):
        dst[i] = src[i]


@_compiled
def _clear(dst):  # type: ignore[no-untyped-def]
    for i in range(dst.size):
        dst[i] = 0


@_compiled
def _scale(src, dst, factor, offset):  # type: ignore[no-untyped-def]
    for i in range(src.size):
        value = F32(src[i]) * factor + offset
        dst[i] = np.uint8(np.int32(min(max(value, ZERO), FULL)))


@_compiled
def _contrast(src, dst, factor, channels, interleaved):  # type: ignore[no-untyped-def]
    pixels = src.size // channels
    total = 0
    if channels == 1:
        for i in range(pixels):
            total += np.int64(src[i])
    elif interleaved:
        for i in range(pixels):
            total += np.int64(_grey(src[3 * i], src[3 * i + 1], src[3 * i + 2]))
    else:
        red, green, blue = src[:pixels], src[pixels : 2 * pixels], src[2 * pixels :]
        for i in range(pixels):
            total += np.int64(_grey(red[i], green[i], blue[i]))
    mean = F32(np.float64(total) / pixels)
    _scale(src, dst, factor, mean * (F32(1) - factor))


@_compiled
def _grey(red, green, blue):  # type: ignore[no-untyped-def]
    total = F32(red) * F32(19589) + F32(green) * F32(38470) + F32(blue) * F32(7471)
    return np.int32(total * F32(1 / 65536))


@_compiled
def _color(src, dst, factor, interleaved):  # type: ignore[no-untyped-def]
    pixels = src.size // 3
    rest = F32(1) - factor
    if interleaved:
        for i in range(pixels):
            red, green, blue = src[3 * i], src[3 * i + 1], src[3 * i + 2]
            grey = F32(_grey(red, green, blue)) * rest
            dst[3 * i] = np.uint8(np.int32(min(max(F32(red) * factor + grey, ZERO), FULL)))
            dst[3 * i + 1] = np.uint8(np.int32(min(max(F32(green) * factor + grey, ZERO), FULL)))
            dst[3 * i + 2] = np.uint8(np.int32(min(max(F32(blue) * factor + grey, ZERO), FULL)))
        return
    reds, greens, blues = src[:pixels], src[pixels : 2 * pixels], src[2 * pixels :]
    to_red, to_green, to_blue = dst[:pixels], dst[pixels : 2 * pixels], dst[2 * pixels :]
    for i in range(pixels):
        grey = F32(_grey(reds[i], greens[i], blues[i])) * rest
        to_red[i] = np.uint8(np.int32(min(max(F32(reds[i]) * factor + grey, ZERO), FULL)))
        to_green[i] = np.uint8(np.int32(min(max(F32(greens[i]) * factor + grey, ZERO), FULL)))
        to_blue[i] = np.uint8(np.int32(min(max(F32(blues[i]) * factor + grey, ZERO), FULL)))


@_compiled
def _sharpness(src, dst, factor, height, step):  # type: ignore[no-untyped-def]
    """Rows of bytes whose neighbours stand ``step`` bytes apart: 1 in a plane, 3 interleaved."""
    length = src.size // height
    _copy(src, dst)
    if height <= 2 or length <= 2 * step:
        return
    rest = F32(1) - factor
    columns = np.empty(length, np.float32)
    inner = length - 2 * step
    left, middle, right = columns[:inner], columns[step : step + inner], columns[2 * step :]
    for y in range(1, height - 1):
        above = src[(y - 1) * length : y * length]
        here = src[y * length : (y + 1) * length]
        below = src[(y + 1) * length : (y + 2) * length]
        for i in range(length):
            columns[i] = F32(above[i]) + F32(here[i]) + F32(below[i])
        centre = here[step : step + inner]
        out = dst[y * length + step : y * length + step + inner]
        for i in range(inner):
            total = left[i] + middle[i] + right[i] + F32(4) * F32(centre[i])
            blur = F32(np.int32(total * F32(1 / 13) + F32(0.5))) * rest  # never halfway
            value = F32(centre[i]) * factor + blur
            out[i] = np.uint8(np.int32(min(max(value, ZERO), FULL)))


@_compiled
def _solarize(src, dst, threshold):  # type: ignore[no-untyped-def]
    level = min(max(math.ceil(threshold), 0), 256)
    if level > 255:
        _copy(src, dst)
        return
    bound = np.uint8(level)
    for i in range(src.size):
        dst[i] = src[i] ^ np.uint8(255) if src[i] >= bound else src[i]


@_compiled
def _posterize(src, dst, bits):  # type: ignore[no-untyped-def]
    kept = min(max(int(bits), 0), 8)
    mask = np.uint8(256 - (1 << (8 - kept)))
    for i in range(src.size):
        dst[i] = src[i] & mask


@_compiled
def _invert(src, dst):  # type: ignore[no-untyped-def]
    for i in range(src.size):
        dst[i] = src[i] ^ np.uint8(255)


@_compiled
def _stretch(value, low, inverse):  # type: ignore[no-untyped-def]
    # The true quotient lies at least 1/255 below the next whole number or exactly on one, so a
    # small push up turns the rounded product's floor into the exact one.
    return np.uint8(np.int32((F32(value) - low) * FULL * inverse + F32(1 / 1024)))


@_compiled
def _autocontrast_plane(src, dst):  # type: ignore[no-untyped-def]
    low, high = np.uint8(255), np.uint8(0)
    for i in range(src.size):
        low, high = min(low, src[i]), max(high, src[i])
    if low >= high:
        _copy(src, dst)
        return
    bottom, inverse = F32(low), F32(1) / F32(high - low)
    for i in range(src.size):
        dst[i] = _stretch(src[i], bottom, inverse)


@_compiled
def _autocontrast_interleaved(src, dst, width):  # type: ignore[no-untyped-def]
    length = 3 * width
    lows, highs = src[:length].copy(), src[:length].copy()
    for y in range(1, src.size // length):
        row = src[y * length : (y + 1) * length]
        for i in range(length):
            lows[i], highs[i] = min(lows[i], row[i]), max(highs[i], row[i])
    bottoms, inverses = np.empty(length, np.float32), np.empty(length, np.float32)
    for channel in range(3):
        low, high = lows[channel::3].min(), highs[channel::3].max()
        flat = low == high
        bottoms[channel::3] = ZERO if flat else F32(low)
        inverses[channel::3] = F32(1) / (FULL if flat else F32(high - low))
    for y in range(src.size // length):
        row, out = src[y * length : (y + 1) * length], dst[y * length : (y + 1) * length]
        for i in range(length):
            out[i] = _stretch(row[i], bottoms[i], inverses[i])


@_compiled
def _equalize(src, dst, channels, interleaved):  # type: ignore[no-untyped-def]
    pixels = src.size // channels
    step = channels if interleaved else 1
    table = np.empty((channels, 256), np.uint8)
    counts = np.zeros((channels, 2, 256), np.int32)
    for channel in range(channels):
        start = channel if interleaved else channel * pixels
        values = src[start : start + (pixels - 1) * step + 1]
        even, odd = counts[channel, 0], counts[channel, 1]
        for i in range(pixels // 2):  # two histograms: equal neighbours need not wait for each other
            even[values[2 * i * step]] += 1
            odd[values[(2 * i + 1) * step]] += 1
        if pixels % 2:
            even[values[(pixels - 1) * step]] += 1
        _equalize_table(even, odd, pixels, table[channel])
    if not interleaved:
        for channel in range(channels):
            part, out = src[channel * pixels :][:pixels], dst[channel * pixels :][:pixels]
            row = table[channel]
            for i in range(pixels):
                out[i] = row[part[i]]
        return
    red, green, blue = table[0], table[1], table[2]
    for i in range(pixels):
        dst[3 * i] = red[src[3 * i]]
        dst[3 * i + 1] = green[src[3 * i + 1]]
        dst[3 * i + 2] = blue[src[3 * i + 2]]


@_compiled
def _equalize_table(even, odd, pixels, table):  # type: ignore[no-untyped-def]
    last = 0
    for i in range(256):
        even[i] += odd[i]
        if even[i]:
            last = even[i]
    step = (pixels - last) // 255
    total = step // 2
    for i in range(256):
        table[i] = np.uint8(i if step == 0 else min(total // max(step, 1), 255))
        total += even[i]


@_compiled
def _fixed(slope, start, side, one, table):  # type: ignore[no-untyped-def]
    bound = 4.0 * side
    for i in range(table.size):
        table[i] = np.int32(np.rint(min(max(slope * i + start, -bound), bound) * one))


@_compiled
def _shift_rows(src, dst, x_row, y_row, bits, height, step):  # type: ignore[no-untyped-def]
    """Rows stay rows: each is copied from another, moved by whole pixels of ``step`` bytes."""
    length = src.size // height
    for y in range(height):
        out = dst[y * length : (y + 1) * length]
        source, move = y_row[y] >> bits, (x_row[y] >> bits) * step
        if source < 0 or source >= height or move >= length or move <= -length:
            _clear(out)
            continue
        skip, kept = max(-move, 0), length - abs(move)
        start = source * length + max(move, 0)
        _clear(out[:skip])
        _copy(src[start : start + kept], out[skip : skip + kept])
        _clear(out[skip + kept :])


@_compiled
def _gather(src, dst, x_row, x_column, y_row, y_column, bits, channels, interleaved):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    height, width = x_row.size, x_column.size
    pixels = height * width
    buffer = np.empty(width, np.uint32)
    for y in range(height):
        at_x, at_y = x_row[y], y_row[y]
        first, stop = 0, width
        # Both coordinates are monotone along a row, so what lies inside is one stretch.
        while first < stop and not _inside(
            at_x + x_column[first], at_y + y_column[first], bits, height, width
        ):
            first += 1
        while stop > first and not _inside(
            at_x + x_column[stop - 1], at_y + y_column[stop - 1], bits, height, width
        ):
            stop -= 1
        index, to_x, to_y = buffer[: stop - first], x_column[first:stop], y_column[first:stop]
        for i in range(index.size):
            index[i] = np.uint32(((at_y + to_y[i]) >> bits) * width + ((at_x + to_x[i]) >> bits))
        for plane in range(1 if interleaved else channels):
            step = 3 if interleaved else 1
            part = src[plane * pixels : (plane + step) * pixels]
            out = dst[(plane * height + y * step) * width :][: width * step]
            _clear(out[: first * step])
            _clear(out[stop * step :])
            inside = out[first * step : stop * step]
            if interleaved:
                _pick_triples(part, inside, index)
            else:
                _pick(part, inside, index)


@_compiled
def _pick(src, out, index):  # type: ignore[no-untyped-def]
    for i in range(index.size):
        out[i] = src[index[i]]


@_compiled
def _pick_triples(src, out, index):  # type: ignore[no-untyped-def]
    for i in range(index.size):
        at = np.uint64(index[i]) * np.uint64(3)
        out[3 * i] = src[at]
        out[3 * i + 1] = src[at + np.uint64(1)]
        out[3 * i + 2] = src[at + np.uint64(2)]


@_compiled
def _inside(x, y, bits, height, width):  # type: ignore[no-untyped-def]
    return 0 <= (x >> bits) < width and 0 <= (y >> bits) < height


@_compiled
def _geometry(src, dst, op, magnitude, cos, sin, shape, interleaved, bits):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    channels, height, width = shape
    if op != 5:
        cos, sin = 1.0, 0.0
    m = np.float64(magnitude)
    shear_x, shear_y = (m if op == 1 else 0.0), (m if op == 2 else 0.0)
    move_x = math.trunc(min(max(m, -1e9), 1e9)) if op == 3 else 0.0
    move_y = math.trunc(min(max(m, -1e9), 1e9)) if op == 4 else 0.0
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    start_x = middle_x - cos * middle_x + sin * middle_y + 0.5 * shear_x - move_x
    start_y = middle_y - sin * middle_x - cos * middle_y + 0.5 * shear_y - move_y
    side, one = max(height, width, 2), float(1 << bits)
    x_row, y_row = np.empty(height, np.int32), np.empty(height, np.int32)
    _fixed(shear_x - sin, start_x + 0.5, side, one, x_row)
    _fixed(cos, start_y + 0.5, side, one, y_row)
    if op == 1 or op == 3 or op == 4:
        planes = 1 if interleaved else channels
        part = src.size // planes
        for plane in range(planes):
            _shift_rows(
                src[plane * part : (plane + 1) * part], dst[plane * part : (plane + 1) * part],
                x_row, y_row, bits, height, channels if interleaved else 1,
            )  # fmt: skip
        return
    x_column, y_column = np.empty(width, np.int32), np.empty(width, np.int32)
    _fixed(cos, 0.0, side, one, x_column)
    _fixed(shear_y + sin, 0.0, side, one, y_column)
    _gather(src, dst, x_row, x_column, y_row, y_column, bits, channels, interleaved)


@_compiled
def _cutout(src, dst, side, place, fill, shape, interleaved):  # type: ignore[no-untyped-def]
    channels, height, width = shape
    _copy(src, dst)
    side = max(side, 0)
    top = math.floor(place[0] * F32(height)) - side // 2
    left = math.floor(place[1] * F32(width)) - side // 2
    for y in range(max(top, 0), min(top + side, height)):
        for x in range(max(left, 0), min(left + side, width)):
            for channel in range(channels):
                at = (
                    (y * width + x) * channels + channel
                    if interleaved
                    else (channel * height + y) * width + x
                )
                dst[at] = fill[channel]


@_compiled
def run_batch(src, dst, ops, magnitudes, turns, places, fill, shape, interleaved, bits):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    """Apply each image's op.

    Args:
        src: (n, bytes) uint8, C order.
        dst: likewise, the result.
        ops: (n,) int64.
        magnitudes: (n,) float32.
        turns: (2, n) float64, cosine and sine of Rotate's angle.
        places: (n, 2) float32.
        fill: (channels,) uint8, what Cutout paints.
        shape: channels, height, width.
        interleaved: whether a pixel's channels lie side by side.
        bits: fractional bits of the geometry.
    """
    channels, height, width = shape
    for n in range(src.shape[0]):
        old, new, op, m = src[n], dst[n], ops[n], magnitudes[n]
        if 1 <= op <= 5:
            _geometry(old, new, op, m, turns[0, n], turns[1, n], shape, interleaved, bits)
        elif op == 6 and interleaved:
            _autocontrast_interleaved(old, new, width)
        elif op == 6:
            part = height * width
            for channel in range(channels):
                _autocontrast_plane(old[channel * part :][:part], new[channel * part :][:part])
        elif op == 7:
            _invert(old, new)
        elif op == 8:
            _equalize(old, new, channels, interleaved)
        elif op == 9:
            _solarize(old, new, m)
        elif op == 10:
            _posterize(old, new, m)
        elif op == 11:
            _contrast(old, new, m, channels, interleaved)
        elif op == 12 and channels == 3:
            _color(old, new, m, interleaved)
        elif op == 13:
            _scale(old, new, m, ZERO)
        elif op == 14:
            planes = 1 if interleaved else channels
            part = old.size // planes
            for plane in range(planes):
                step = channels if interleaved else 1
                _sharpness(old[plane * part :][:part], new[plane * part :][:part], m, height, step)
        elif op == 15:
            _cutout(old, new, int(m), places[n], fill, shape, interleaved)
        else:
            _copy(old, new)
