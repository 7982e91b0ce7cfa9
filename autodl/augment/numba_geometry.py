"""Geometry and Cutout as compiled loops over the bytes of one image; see `geometry` for the maps."""

from __future__ import annotations

import math

import numpy as np

from autodl.augment.numba_base import F32, clear, compiled, copy


@compiled
def _fixed(slope, start, side, one, table):  # type: ignore[no-untyped-def]
    bound = 4.0 * side
    for i in range(table.size):
        table[i] = np.int32(np.rint(min(max(slope * i + start, -bound), bound) * one))


@compiled
def _shift_rows(src, dst, x_row, y_row, bits, height, step):  # type: ignore[no-untyped-def]
    """Rows stay rows: each is copied from another, moved by whole pixels of ``step`` bytes."""
    length = src.size // height
    for y in range(height):
        out = dst[y * length : (y + 1) * length]
        source, move = y_row[y] >> bits, (x_row[y] >> bits) * step
        if source < 0 or source >= height or move >= length or move <= -length:
            clear(out)
            continue
        skip, kept = max(-move, 0), length - abs(move)
        start = source * length + max(move, 0)
        clear(out[:skip])
        copy(src[start : start + kept], out[skip : skip + kept])
        clear(out[skip + kept :])


@compiled
def _gather(src, dst, x_row, x_column, y_row, y_column, bits, channels, interleaved):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    height, width = x_row.size, x_column.size
    pixels = height * width
    buffer = np.empty(width, np.uint32)
    first, stop = 0, 0
    for y in range(height):
        at_x, at_y = x_row[y], y_row[y]
        first, stop = _stretch_inside(at_x, at_y, x_column, y_column, bits, height, first, stop)
        index, to_x, to_y = buffer[: stop - first], x_column[first:stop], y_column[first:stop]
        for i in range(index.size):
            index[i] = np.uint32(((at_y + to_y[i]) >> bits) * width + ((at_x + to_x[i]) >> bits))
        for plane in range(1 if interleaved else channels):
            step = 3 if interleaved else 1
            part = src[plane * pixels : (plane + step) * pixels]
            out = dst[(plane * height + y * step) * width :][: width * step]
            clear(out[: first * step])
            clear(out[stop * step :])
            inside = out[first * step : stop * step]
            if interleaved:
                _pick_triples(part, inside, index)
            else:
                _pick(part, inside, index)


@compiled
def _stretch_inside(at_x, at_y, x_column, y_column, bits, height, first, stop):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    """Columns first..stop of a row whose sources lie inside, sought from those of the row above.

    Both coordinates are monotone along a row, so they are one stretch.
    """
    width = x_column.size
    while first < width and not _inside(at_x + x_column[first], at_y + y_column[first], bits, height, width):
        first += 1
    if first == width:  # the stretch is empty, or begins further left
        first = 0
        while first < width and not _inside(
            at_x + x_column[first], at_y + y_column[first], bits, height, width
        ):
            first += 1
        if first == width:
            return 0, 0
    while first > 0 and _inside(at_x + x_column[first - 1], at_y + y_column[first - 1], bits, height, width):
        first -= 1
    stop = max(stop, first + 1)
    while not _inside(at_x + x_column[stop - 1], at_y + y_column[stop - 1], bits, height, width):
        stop -= 1
    while stop < width and _inside(at_x + x_column[stop], at_y + y_column[stop], bits, height, width):
        stop += 1
    return first, stop


@compiled
def _pick(src, out, index):  # type: ignore[no-untyped-def]
    for i in range(index.size):
        out[i] = src[index[i]]


@compiled
def _pick_triples(src, out, index):  # type: ignore[no-untyped-def]
    for i in range(index.size):
        at = np.uint64(index[i]) * np.uint64(3)
        out[3 * i] = src[at]
        out[3 * i + 1] = src[at + np.uint64(1)]
        out[3 * i + 2] = src[at + np.uint64(2)]


@compiled
def _inside(x, y, bits, height, width):  # type: ignore[no-untyped-def]
    return 0 <= (x >> bits) < width and 0 <= (y >> bits) < height


@compiled
def geometry(src, dst, op, magnitude, cos, sin, shape, interleaved, bits):  # type: ignore[no-untyped-def]  # noqa: PLR0913
    """Numbers 1 to 5 of `OP_NAMES`."""
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


@compiled
def cutout(src, dst, side, place, fill, shape, interleaved):  # type: ignore[no-untyped-def]
    """Paint a grey square, centred at (y, x) ``place``."""
    channels, height, width = shape
    copy(src, dst)
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
