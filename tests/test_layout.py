"""The layout's promises: complete package list, the link, the guard, tests that mirror the code."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def packages_on_disk() -> set[str]:
    inits = (p.parent for p in ROOT.glob("autodl/**/__init__.py"))
    return {".".join(p.relative_to(ROOT).parts) for p in inits} | {"autodl.tasks"}


def test_pyproject_lists_every_package():
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == packages_on_disk()


def test_tasks_is_a_link_in_the_source_tree():
    assert (ROOT / "autodl/tasks").resolve() == (ROOT / "tasks").resolve()


def test_tasks_refuses_to_be_imported_as_a_top_level_package():
    run = subprocess.run(
        [sys.executable, "-c", "import tasks"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert "import autodl.tasks, not tasks" in run.stderr


def test_every_test_file_mirrors_a_module():
    """``tests/data/test_split.py`` tests ``autodl/data/split.py``; extra words may follow the name."""
    strays = []
    for test in (ROOT / "tests").rglob("test_*.py"):
        folder = test.parent.relative_to(ROOT / "tests")
        package = ROOT / "tasks" if folder.parts[:1] == ("tasks",) else ROOT / "autodl" / folder
        words = test.stem.removeprefix("test_").split("_")
        names = ["_".join(words[: n + 1]) for n in range(len(words))]
        mirrored = any((package / f"{n}.py").exists() or (package / n).is_dir() for n in names)
        if not mirrored and test.name not in {"test_layout.py", "test_init.py", "test_tutorials.py"}:
            strays.append(str(test.relative_to(ROOT)))
    assert strays == []


def test_importing_autodl_does_not_import_torch():
    heavy = ("torch", "sklearn", "pandas", "skopt", "matplotlib")
    code = f"import sys, autodl; sys.exit(any(name in sys.modules for name in {heavy}))"
    subprocess.run([sys.executable, "-c", code], check=True)
