import subprocess
import sys

import pytest

import autodl.report


def test_every_public_name_can_be_had():
    for name in autodl.report.__all__:
        assert getattr(autodl.report, name) is not None
    assert set(autodl.report.__all__) == set(autodl.report._HOME)


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="pie"):
        autodl.report.pie  # noqa: B018


def test_the_protocols_cost_nothing():
    heavy = ("matplotlib", "pandas", "sklearn", "rich", "jinja2", "torch", "numpy")
    code = f"import sys, autodl.report.view; sys.exit(any(m in sys.modules for m in {heavy!r}))"
    subprocess.run([sys.executable, "-c", code], check=True)
