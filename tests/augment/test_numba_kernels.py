"""The cache of the compiled ops."""

from __future__ import annotations

import pytest

pytest.importorskip("numba")

from autodl.augment import numba_kernels, numba_ops
from autodl.augment.op_table import OP_NAMES
from autodl.errors import MissingDependencyError


def test_the_cache_knows_every_source(tmp_path):
    files = tuple(tmp_path / file.name for file in numba_kernels.SOURCES)
    for file, source in zip(files, numba_kernels.SOURCES, strict=True):
        file.write_bytes(source.read_bytes())
    before = numba_kernels.stamp_of(files)
    assert before == numba_kernels.stamp_of(numba_kernels.SOURCES)
    for file in files:
        text = file.read_bytes()
        file.write_bytes(text + b"#")
        assert numba_kernels.stamp_of(files) != before
        file.write_bytes(text)
    assert {file.name for file in numba_kernels.SOURCES} == {
        f"numba_{part}.py" for part in ("base", "colour", "geometry", "kernels")
    }


def test_the_stamp_is_part_of_the_cache_key():
    cells = [cell.cell_contents for cell in numba_kernels.run_batch.py_func.__closure__]
    assert cells == [numba_kernels.stamp_of(numba_kernels.SOURCES)]


def test_where_nothing_can_be_written_it_compiles_without_a_cache(monkeypatch):
    real = numba_kernels.njit

    def read_only(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(numba_kernels, "njit", read_only)
    assert numba_kernels.cached(lambda x: x + 1)(1) == 2


def test_numba_that_does_not_import_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "autodl.augment.numba_kernels", None)
    monkeypatch.delattr("autodl.augment.numba_kernels")
    with pytest.raises(MissingDependencyError, match="fast"):
        numba_ops._kernels.__wrapped__()


def test_numbers_are_those_of_the_table():
    assert OP_NAMES[1:6] == ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
    assert OP_NAMES[6:11] == ("AutoContrast", "Invert", "Equalize", "Solarize", "Posterize")
    assert OP_NAMES[11:] == ("Contrast", "Color", "Brightness", "Sharpness", "Cutout")


def test_without_a_compiler_numba_counts_as_not_installed(monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert not numba_ops.numba_installed.__wrapped__()
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "0")
    assert numba_ops.numba_installed.__wrapped__()
