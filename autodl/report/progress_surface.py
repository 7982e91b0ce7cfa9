"""Where progress is drawn: a terminal, a notebook, or plain lines."""

from __future__ import annotations

import html
import os
import sys
import time
from typing import Any, Protocol, TextIO

from autodl.report.progress_state import ProgressState
from autodl.report.wording import printable

HEARTBEAT_S = 30.0
"""Seconds between two lines in a log file while nothing else is worth a line."""


class Surface(Protocol):
    """A place to draw on. Methods may raise; `ProgressDisplay` guards them."""

    refresh_s: float | None
    """Seconds between two calls of `tick`, None if it refreshes by itself."""

    def line(self, text: str, *, lasting: bool = False) -> None:
        """An event; `lasting` ones must stay visible, others may only show in the live part."""

    def refresh(self) -> None:
        """Something has changed that is not worth a line."""

    def tick(self) -> None:
        """Time has passed."""

    def close(self) -> None:
        """The last call."""


def pick_surface(state: ProgressState, stream: TextIO, *, live: bool, notebook: bool) -> Surface:
    """The best surface for where output goes.

    Args:
        state: what to show.
        stream: where to write.
        live: False asks for plain lines anywhere.
        notebook: whether a notebook's output cell may be used instead of `stream`.
    """
    if live and notebook and in_notebook():
        return NotebookSurface(state)
    if live and _is_terminal(stream) and os.environ.get("TERM") != "dumb":
        return TerminalSurface(state, stream)
    return LineSurface(state, stream)


def in_notebook() -> bool:
    """True in a Jupyter kernel; IPython is looked at only if something has imported it already."""
    ipython = sys.modules.get("IPython")
    get = getattr(ipython, "get_ipython", None)
    shell = get() if get is not None else None
    return shell is not None and hasattr(shell, "kernel")


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


class LineSurface:
    """One line an event, for pipes and log files; ASCII escapes where the encoding needs them."""

    refresh_s: float | None = HEARTBEAT_S

    def __init__(self, state: ProgressState, stream: TextIO) -> None:
        self._state, self._stream = state, stream
        self._written = time.monotonic()

    def line(self, text: str, *, lasting: bool = False) -> None:
        """Write it with the time of day."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(f"{time.strftime('%H:%M:%S')}  {printable(text, encoding)}\n")
        self._stream.flush()
        self._written = time.monotonic()

    def refresh(self) -> None:
        """Nothing: a line for every report would drown the log."""

    def tick(self) -> None:
        """The heartbeat; silent where an event has just been written."""
        if time.monotonic() - self._written >= 0.5 * HEARTBEAT_S:
            self.line(self._state.status())

    def close(self) -> None:
        """Nothing to give back."""


class TerminalSurface:
    """A live panel at the foot of the terminal (rich); colours follow ``NO_COLOR`` and ``TERM``."""

    refresh_s: float | None = None

    def __init__(self, state: ProgressState, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415  # only terminals pay for rich
        from rich.live import Live  # noqa: PLC0415

        self._state = state
        self._console = Console(file=stream, highlight=False)
        self._live = Live(
            get_renderable=self._render,
            console=self._console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=_is_terminal(sys.stdout),  # what goes to a file stays there
            redirect_stderr=_is_terminal(sys.stderr),
        )
        self._live.start()

    def line(self, text: str, *, lasting: bool = False) -> None:
        """Lasting lines go above the panel."""
        if lasting:
            self._console.print(text, markup=False)

    def refresh(self) -> None:
        """Nothing: the panel redraws itself four times a second."""

    def tick(self) -> None:
        """Nothing, as above."""

    def close(self) -> None:
        """Take the panel away and give the cursor back."""
        self._live.stop()

    def _render(self) -> Any:
        """Called by rich's own thread, where an exception would end in a traceback on the screen."""
        from rich.text import Text  # noqa: PLC0415  # only terminals pay for rich

        try:
            return render_panel(self._state)
        except (RuntimeError, ValueError, AttributeError):  # the run changed under our hands
            return Text("")


def render_panel(state: ProgressState) -> Any:
    """The terminal's live panel as a rich renderable."""
    from rich.console import Group  # noqa: PLC0415  # only terminals pay for rich
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.spinner import Spinner  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if state.run is None or state.over:
        spinner = Spinner("dots", Text(f" {state.status()}"))
        spinner.start_time = 0.0  # made anew for every frame, it would not turn otherwise
        return spinner
    fraction = state.fraction()
    bar = Table.grid(padding=(0, 1))
    total = None if fraction is None else 1.0
    bar.add_row(ProgressBar(total=total, completed=fraction or 0.0, width=32), Text(state.time_text()))
    return Group(bar, Text(state.best_text(), style="bold"), Text(state.trials_text(), style="dim"))


class NotebookSurface:
    """An output that is replaced in place, by way of IPython's display handle."""

    refresh_s: float | None = 1.0

    def __init__(self, state: ProgressState) -> None:
        from IPython.display import display  # noqa: PLC0415  # there only inside a notebook

        self._state = state
        self._lasting: list[str] = []
        self._last = ""
        self._handle = display(self, display_id=True)
        self._drawn = time.monotonic()

    def __repr__(self) -> str:
        return "\n".join([*self._lasting, self._state.status()])

    def _repr_html_(self) -> str:
        return render_notebook(self._state, tuple(self._lasting))

    def line(self, text: str, *, lasting: bool = False) -> None:
        """Lasting lines are kept above the bar."""
        if lasting:
            self._lasting.append(text)
        self._update()

    def refresh(self) -> None:
        """At most twice a second: a front end chokes on more."""
        if time.monotonic() - self._drawn >= 0.5:
            self._update()

    def tick(self) -> None:
        """Lets the clock go on."""
        self._update()

    def close(self) -> None:
        """The last state stays in the notebook."""
        self._update()

    def _update(self) -> None:
        self._drawn = time.monotonic()
        if self._handle is not None:
            self._handle.update(self)


def render_notebook(state: ProgressState, lasting: tuple[str, ...] = ()) -> str:
    """The notebook's output as an HTML fragment that follows the notebook's own colours."""
    lines = "".join(f"<div>{html.escape(text)}</div>" for text in lasting)
    if state.run is None or state.over:
        return f"{lines}<div>{html.escape(state.status())}</div>" if not state.over else lines
    fraction = state.fraction()
    value = "" if fraction is None else f' value="{fraction:.3f}"'
    trials = html.escape(f"{state.trials_text()}; {state.time_text()}")
    return (
        f'{lines}<div style="max-width:36em"><progress max="1"{value} style="width:100%"></progress>'
        f"<div><b>{html.escape(state.best_text())}</b></div>"
        f'<div style="opacity:.75">{trials}</div></div>'
    )
