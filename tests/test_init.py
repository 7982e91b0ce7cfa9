import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import autodl

ROOT = Path(__file__).parent.parent


def test_every_public_name_resolves_and_is_listed():
    for name in autodl.__all__:
        assert getattr(autodl, name) is not None
    assert set(autodl.__all__) <= set(dir(autodl))


def test_a_name_is_the_object_of_its_home():
    from autodl.spaces import Real, args

    assert autodl.Real is Real and autodl.args is args
    assert autodl.optim is sys.modules["autodl.optim"]


def test_unknown_names_fail_as_in_any_module():
    with pytest.raises(AttributeError, match="module 'autodl' has no attribute 'Dask'"):
        _ = autodl.Dask


def test_type_checkers_see_the_same_names():
    """Names under TYPE_CHECKING, in the table and in ``__all__`` are one set."""
    tree = ast.parse((ROOT / "autodl/__init__.py").read_text())
    guarded = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {a.name for n in ast.walk(guarded) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert seen == set(autodl.__all__) - {"__version__"} == set(autodl._HOMES)


def test_version_is_the_projects():
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == autodl.__version__


@pytest.mark.parametrize(
    "module", ["autodl", "autodl.spaces", "autodl.optim", "autodl.timelimit", "autodl.trial"]
)
def test_importing_brings_no_heavy_library(module):
    heavy = "{'torch', 'torchvision', 'sklearn', 'skopt', 'pandas', 'matplotlib', 'scipy', 'joblib'}"
    code = f"import sys, {module}; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_bare_import_is_next_to_nothing():
    """numpy alone would double the time of ``autodl --help``."""
    code = "import sys; before = len(sys.modules); import autodl; sys.exit(len(sys.modules) - before > 20)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_idle_threads_are_told_not_to_spin_unless_the_user_says_otherwise():
    code = "import os, autodl; print(os.environ['OMP_WAIT_POLICY'])"

    def policy(**environment: str) -> str:
        kept = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**kept, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return run.stdout.strip()

    assert policy() == "PASSIVE"
    assert policy(OMP_WAIT_POLICY="ACTIVE") == "ACTIVE"
