"""The colour ops as compiled loops over the bytes of one image.

Numbers follow `torch_colour` step by step: floats are float32 in the same order of operations
(nothing is contracted), so the bytes are the same. Sums of grey stay below 2^24, where float32
counts exactly, and float loops become vector code where numba would widen integers to 64 bits.
"""

from __future__ import annotations

import math

import numpy as np

from autodl.augment.numba_base import F32, FULL, ZERO, compiled, copy


@compiled
def scale(src, dst, factor, offset):  # type: ignore[no-untyped-def]
    """A level times a factor and an offset, cut to 0..255; Brightness."""
    for i in range(src.size):
        value = F32(src[i]) * factor + offset
        dst[i] = np.uint8(np.int32(min(max(value, ZERO), FULL)))


@compiled
def contrast(src, dst, factor, channels, interleaved):  # type: ignore[no-untyped-def]
    """Away from the mean grey, or towards it."""
    pixels = src.size // channels
    total = 0
    if channels == 1:
        for i in range(pixels):
            total += int(src[i])
    elif interleaved:
        for i in range(pixels):
            total += int(_grey(src[3 * i], src[3 * i + 1], src[3 * i + 2]))
    else:
        red, green, blue = src[:pixels], src[pixels : 2 * pixels], src[2 * pixels :]
        for i in range(pixels):
            total += int(_grey(red[i], green[i], blue[i]))
    mean = F32(np.float64(total) / pixels)
    scale(src, dst, factor, mean * (F32(1) - factor))


@compiled
def _grey(red, green, blue):  # type: ignore[no-untyped-def]
    total = F32(red) * F32(19589) + F32(green) * F32(38470) + F32(blue) * F32(7471)
    return np.int32(total * F32(1 / 65536))


@compiled
def color(src, dst, factor, interleaved):  # type: ignore[no-untyped-def]
    """Away from the grey image, or towards it."""
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


@compiled
def sharpness(src, dst, factor, height, step):  # type: ignore[no-untyped-def]
    """Rows of bytes whose neighbours stand ``step`` bytes apart: 1 in a plane, 3 interleaved."""
    length = src.size // height
    copy(src, dst)
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


@compiled
def solarize(src, dst, threshold):  # type: ignore[no-untyped-def]
    """Invert what is at or above the threshold."""
    level = min(max(math.ceil(threshold), 0), 256)
    if level > 255:
        copy(src, dst)
        return
    bound = np.uint8(level)
    for i in range(src.size):
        dst[i] = src[i] ^ np.uint8(255) if src[i] >= bound else src[i]


@compiled
def posterize(src, dst, bits):  # type: ignore[no-untyped-def]
    """Keep the upper bits."""
    kept = min(max(int(bits), 0), 8)
    mask = np.uint8(256 - (1 << (8 - kept)))
    for i in range(src.size):
        dst[i] = src[i] & mask


@compiled
def invert(src, dst):  # type: ignore[no-untyped-def]
    """255 minus each value."""
    for i in range(src.size):
        dst[i] = src[i] ^ np.uint8(255)


@compiled
def _stretch(value, low, inverse):  # type: ignore[no-untyped-def]
    # The true quotient lies at least 1/255 below the next whole number or exactly on one, so a
    # small push up turns the rounded product's floor into the exact one.
    return np.uint8(np.int32((F32(value) - low) * FULL * inverse + F32(1 / 1024)))


@compiled
def autocontrast_plane(src, dst):  # type: ignore[no-untyped-def]
    """Stretch a channel to 0..255."""
    low, high = np.uint8(255), np.uint8(0)
    for i in range(src.size):
        low, high = min(low, src[i]), max(high, src[i])
    if low >= high:
        copy(src, dst)
        return
    bottom, inverse = F32(low), F32(1) / F32(high - low)
    for i in range(src.size):
        dst[i] = _stretch(src[i], bottom, inverse)


@compiled
def autocontrast_interleaved(src, dst, width):  # type: ignore[no-untyped-def]
    """Stretch three channels side by side to 0..255."""
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


@compiled
def equalize(src, dst, channels, interleaved):  # type: ignore[no-untyped-def]
    """Flatten each channel's histogram."""
    pixels = src.size // channels
    table = np.empty((channels, 256), np.uint8)
    for channel in range(channels):
        if interleaved:
            counts = _histogram(src[channel:], channels, pixels)
        else:
            counts = _histogram_of_words(src[channel * pixels : (channel + 1) * pixels])
        _equalize_table(counts, pixels, table[channel])
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


@compiled
def _histogram(values, step, pixels):  # type: ignore[no-untyped-def]
    # Two counts: equal neighbours need not wait for each other.
    counts = np.zeros((2, 256), np.int32)
    even, odd = counts[0], counts[1]
    for i in range(pixels // 2):
        even[values[2 * i * step]] += 1
        odd[values[(2 * i + 1) * step]] += 1
    if pixels % 2:
        even[values[(pixels - 1) * step]] += 1
    for i in range(256):
        even[i] += odd[i]
    return even


@compiled
def _histogram_of_words(plane):  # type: ignore[no-untyped-def]
    # Eight bytes are read at once, into four counts.
    counts = np.zeros((4, 256), np.int32)
    first, second, third, fourth = counts[0], counts[1], counts[2], counts[3]
    one, byte = np.int32(1), np.uint64(255)
    whole = plane.size // 8 * 8
    for word in plane[:whole].view(np.uint64):
        first[word & byte] += one
        second[(word >> np.uint64(8)) & byte] += one
        third[(word >> np.uint64(16)) & byte] += one
        fourth[(word >> np.uint64(24)) & byte] += one
        first[(word >> np.uint64(32)) & byte] += one
        second[(word >> np.uint64(40)) & byte] += one
        third[(word >> np.uint64(48)) & byte] += one
        fourth[word >> np.uint64(56)] += one
    for i in range(whole, plane.size):
        first[plane[i]] += one
    for i in range(256):
        first[i] += second[i] + third[i] + fourth[i]
    return first


@compiled
def _equalize_table(counts, pixels, table):  # type: ignore[no-untyped-def]
    last = 0
    for i in range(256):
        if counts[i]:
            last = int(counts[i])
    step = (pixels - last) // 255
    total = step // 2
    for i in range(256):
        table[i] = np.uint8(i if step == 0 else min(total // max(step, 1), 255))
        total += int(counts[i])
