"""The documentation is a program: tutorials and README run, commands exist, pages are in the site."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
TUTORIALS = ROOT / "tutorials"
PAGES = sorted(p for p in TUTORIALS.rglob("*.md"))
PROGRAMS = sorted(TUTORIALS.glob("*.md"))
DOCUMENTS = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tutorials_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


runner = load(TUTORIALS / "run.py")


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PROGRAMS, ids=lambda p: p.stem)
def test_tutorial_runs(page: Path, outside: Path):
    run_contracts(runner.run(page, short=True))
    assert sorted(TUTORIALS.glob("**/*.html")) == [], "a tutorial writes where it runs, not where it lies"


def run_contracts(namespace: dict[str, Any]) -> None:
    """Do what pytest does with the test classes that a tutorial defines."""
    for key, value in namespace.items():
        if key.startswith("Test") and isinstance(value, type):
            tests = [getattr(value(), method) for method in dir(value) if method.startswith("test_")]
            assert tests, f"{key} has no test"
            for test in tests:
                test()


def test_the_tutorial_on_searchers_holds_its_searcher_to_the_contract():
    assert "class TestHillClimber(SearcherContract)" in (TUTORIALS / "write-a-searcher.md").read_text()


def test_readme_runs(outside: Path):
    namespace = runner.run(ROOT / "README.md", short=True)
    assert namespace["result"].best_value < 0.05, "the script that the README tunes does learn"


def test_readme_names_the_two_commands_first_and_every_tutorial():
    text = (ROOT / "README.md").read_text()
    first = runner.blocks(text)[0].code
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]
    missing = [p.name for p in PROGRAMS if p.stem != "index" and f"(tutorials/{p.name})" not in text]
    assert missing == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_links_between_documents_lead_somewhere(page: Path):
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    targets = [t for t in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose) if "://" not in t]
    assert [t for t in targets if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", DOCUMENTS, ids=name)
def test_every_command_and_option_exists(page: Path):
    shells = [b for b in runner.blocks(page.read_text()) if b.language == "bash"]
    lines = [line for block in shells for line in block.code.splitlines()]
    made = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[:1] == ["autodl"]:
            check_command(words[1:])
        elif words[:1] == ["make"]:
            assert words[1] in made, line


def check_command(words: list[str]) -> None:
    import typer.main

    from autodl.cli.app import app

    command: Any = typer.main.get_command(app).commands[words[0]]
    known = {option for parameter in command.params for option in parameter.opts}
    unknown = [word for word in words[1:] if word.startswith("--") and word not in known]
    assert unknown == [], f"autodl {words[0]} has no {unknown}"


def test_every_page_is_in_the_site():
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("", lambda loader, suffix, node: None)  # mkdocs' !!python tags
    nav = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)["nav"]
    assert sorted(files_of(nav)) == [str(page.relative_to(TUTORIALS)) for page in PAGES]


def test_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > len(PAGES)  # and a page for 404
    for page in pages:
        loaded = re.findall(r"<(?:script|link|img)\b[^>]*(?:src|href)=\"?(?:https?:)?//", page.read_text())
        assert loaded == [], page


def files_of(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    parts = entry.values() if isinstance(entry, dict) else entry
    return [file for part in parts for file in files_of(part)]


def test_demo_says_when_it_is_not_good_enough(
    outside: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    demo = load(TUTORIALS / "demo.py")
    monkeypatch.setattr(demo, "LEAST_ACCURACY", 1.01)
    assert demo.main(outside / "demo", num_trials=1, epochs=1) == 1
    printed = capsys.readouterr()
    assert "is below 1.01" in printed.err
    assert "predicts the same after loading" in printed.out
    assert (outside / "demo/report.html").exists() and (outside / "demo/digits.autodl").exists()


class TestRunner:
    TEXT = (
        "<!-- short: 10 => 1 -->\n<!-- warns: careful -->\n```python\nx = 10\n"
        'import warnings\nwarnings.warn("be careful")\n```\n'
        "<!-- not run -->\n```python\nx = 3\n```\n```text\nx = 4\n```\n"
    )

    def write(self, folder: Path, text: str) -> Path:
        path = folder / "page.md"
        path.write_text(text)
        return path

    def test_short_mode_replaces_and_unrun_blocks_are_not_run(self, tmp_path: Path):
        page = self.write(tmp_path, self.TEXT)
        assert runner.run(page)["x"] == 10
        assert runner.run(page, short=True)["x"] == 1

    def test_a_comment_that_fits_nothing_is_found(self, tmp_path: Path):
        with pytest.raises(ValueError, match=r"line 3: .* does not contain it"):
            runner.run(self.write(tmp_path, "<!-- short: y => z -->\n```python\nx = 1\n```\n"), short=True)
        with pytest.raises(ValueError, match="no block follows"):
            runner.run(self.write(tmp_path, "<!-- short: y => z -->\n"))

    def test_a_warning_that_does_not_come_is_missed(self, tmp_path: Path):
        with pytest.raises(ValueError, match="no warning with the words 'careful'"):
            runner.run(self.write(tmp_path, "<!-- warns: careful -->\n```python\nx = 1\n```\n"))

    def test_tracebacks_name_the_line_of_the_page(self, tmp_path: Path):
        page = self.write(tmp_path, "Text.\n\n```python\nx = 1\nx / 0\n```\n")
        with pytest.raises(ZeroDivisionError) as caught:
            runner.run(page)
        last = caught.traceback[-1]
        assert (Path(last.path), last.lineno + 1) == (page, 5)

    def test_wrong_syntax_is_found_even_where_it_is_not_run(self, tmp_path: Path):
        with pytest.raises(SyntaxError):
            runner.run(self.write(tmp_path, "<!-- not run -->\n```python\nx =\n```\n"))
