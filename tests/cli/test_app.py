import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import autodl
from tests.cli import made

ROOT = Path(__file__).parents[2]
COMMANDS = ("fit", "resume", "predict", "evaluate", "leaderboard", "report", "export", "doctor")
HEAVY = {"torch", "torchvision", "sklearn", "skopt", "pandas", "matplotlib", "scipy", "joblib", "numpy"}


def test_importing_brings_no_heavy_library():
    code = f"import sys, autodl.cli; print(*{HEAVY | {'rich'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("arguments", [["--help"], ["fit", "--help"], ["predict", "-h"]])
def test_help_brings_no_heavy_library(arguments):
    code = (
        "import sys\nfrom autodl.cli import main\n"
        f"sys.argv = ['autodl', *{arguments}]\n"
        "try:\n    main()\nexcept SystemExit as error:\n    assert not error.code\n"
        f"print('heavy:', *{HEAVY} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy:"


def test_help_names_every_command_and_exit_code():
    done = made.run("--help")
    assert done.exit_code == 0
    assert all(command in done.stdout for command in COMMANDS)
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    done = made.run(command, "--help")
    assert done.exit_code == 0
    assert "--debug" in done.stdout


def test_version():
    assert made.run("--version").stdout == f"autodl {autodl.__version__}\n"


@pytest.mark.parametrize("arguments", [["fit"], ["bake", "photos"], ["fit", ".", "--num-trials", "many"]])
def test_bad_usage_exits_with_2(arguments):
    done = made.run(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Usage" in done.stderr


def test_the_project_installs_the_command():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"autodl": "autodl.cli:main"}
