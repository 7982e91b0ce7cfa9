"""Run a tutorial: the Python blocks of a Markdown file, top to bottom, as one program.

    python tutorials/run.py tutorials/quickstart.md            # as it reads
    python tutorials/run.py tutorials/quickstart.md --short    # seconds instead of minutes
    python tutorials/run.py tutorials/quickstart.md --in out   # keep what it writes

HTML comments, which a reader does not see, steer the block that follows them:

    <!-- short: time_limit="2m" => num_trials=1 -->   in the short mode, replace the one by the other
    <!-- warns: cannot be read -->                    the block gives a warning with these words
    <!-- not run -->                                  only checked for its syntax
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch loads: idle threads must not spin

import argparse
import contextlib
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PIECE = re.compile(
    r"^<!-- short: (?P<old>.+?) => (?P<new>.*?) -->$"
    r"|^<!-- warns: (?P<warning>.+?) -->$"
    r"|^<!-- (?P<skip>not run) -->$"
    r"|^```(?P<language>\w+)[^\n]*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a Markdown file.

    Attributes:
        language: the word behind the fence, "python".
        code: as it reads.
        line: of the code's first line in the file, from 1.
        is_run: executed, rather than only read.
        short: (old, new) replacements of the short mode.
        warning: words of a warning that it must give; None: it gives none, or the caller's filters say.
    """

    language: str
    code: str
    line: int
    is_run: bool
    short: tuple[tuple[str, str], ...]
    warning: str | None = None

    def shortened(self) -> str:
        """The code of the short mode.

        Raises:
            ValueError: the code lacks what a comment wants to replace.
        """
        code = self.code
        for old, new in self.short:
            if old not in code:
                raise ValueError(f"line {self.line}: the block below `short: {old}` does not contain it")
            code = code.replace(old, new)
        return code


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a Markdown text, in their order."""
    found = []
    short: list[tuple[str, str]] = []
    is_run, warning = True, None
    for piece in _PIECE.finditer(text):
        if piece["old"] is not None:
            short.append((piece["old"], piece["new"]))
        elif piece["warning"] is not None:
            warning = piece["warning"]
        elif piece["skip"]:
            is_run = False
        else:
            line = text.count("\n", 0, piece.start("code")) + 1
            found.append(Block(piece["language"], piece["code"], line, is_run, tuple(short), warning))
            short, is_run, warning = [], True, None
    if short:
        raise ValueError(f"no block follows the last comment `short: {short[-1][0]}`")
    return found


def run(path: Path, *, short: bool = False) -> dict[str, Any]:
    """Execute a file's Python blocks in the current directory; what they left defined.

    Tracebacks name the line of the Markdown file.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.language != "python":
            continue
        code = block.shortened() if short else block.code
        compiled = compile("\n" * (block.line - 1) + code, str(path), "exec", dont_inherit=True)
        if block.is_run:
            with _expect(block):
                exec(compiled, namespace)
    return namespace


@contextlib.contextmanager
def _expect(block: Block) -> Iterator[None]:
    """Swallow the warning that a block announces, and miss it if it does not come."""
    if block.warning is None:
        yield
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    messages = [str(item.message) for item in caught]
    if not any(block.warning in message for message in messages):
        raise ValueError(f"line {block.line}: no warning with the words {block.warning!r}, got {messages}")


@contextlib.contextmanager
def _directory(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="tutorial-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description="Run the Python blocks of a tutorial.")
    parser.add_argument("tutorial", type=Path)
    parser.add_argument("--short", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--in", dest="folder", type=Path, help="where to run; default: a temporary place")
    options = parser.parse_args(arguments)
    path = options.tutorial.resolve()
    if not path.is_file():
        sys.exit(f"{path} is not there")
    with _directory(options.folder) as folder, contextlib.chdir(folder):
        run(path, short=options.short)


if __name__ == "__main__":
    main()
