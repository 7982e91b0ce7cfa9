"""Live progress of a run: callbacks for the tuner, drawn where the person is looking.

A terminal gets a live panel, a notebook an output that refreshes in place, a pipe or log file plain
lines with the time of day. Drawing never breaks a run: when the stream is gone or cannot show a
character, the display falls silent and the run goes on.
"""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from autodl.report.progress_state import ProgressState
from autodl.report.progress_surface import Surface, pick_surface
from autodl.report.view import RunView, TrialView
from autodl.report.wording import printable
from autodl.trial import Report, TrialState

DRAWING_ERRORS = (OSError, ValueError, LookupError, AttributeError, ImportError)
"""What a stream, rich or a notebook's kernel raises when it cannot show something: a closed file or
broken pipe, a character outside the encoding, another live display, a front end that is gone."""


class ProgressDisplay:
    """Shows a run's progress; pass it to the tuner as a callback, or call its methods.

    Args:
        verbosity: 0 nothing; 1 plain lines only; 2 live where possible; 3 also every report.
        stream: where to write, ``sys.stderr`` if None; a notebook is recognised only if None.

    Example:
        >>> display = ProgressDisplay(verbosity=0)
        >>> with display:
        ...     display.phase("reading images")
    """

    def __init__(self, verbosity: int = 2, stream: TextIO | None = None) -> None:
        self.verbosity = verbosity
        self._stream = stream
        self._state = ProgressState()
        self._surface: Surface | None = None
        self._broken = verbosity <= 0
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._ticker: threading.Thread | None = None

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[ProgressDisplay], tuple[int]]:
        """Crosses to a worker as a silent copy: threads and streams stay with the driver."""
        return type(self), (0,)

    def phase(self, text: str) -> None:
        """Say what is being done outside the search: ``phase("reading images")``."""
        shown = printable(text)
        self._state.set_phase(shown)
        self._draw(lambda surface: surface.line(shown))

    def message(self, text: str) -> None:
        """Say something that should stay on the screen, above the live part."""
        shown = printable(text)
        self._draw(lambda surface: surface.line(shown, lasting=True))

    def on_run_start(self, run: RunView) -> None:
        """The search begins; finished trials of a resumed run count at once."""
        text = self._state.start(run)
        self._draw(lambda surface: surface.line(text))

    def on_trial_start(self, trial: TrialView) -> None:
        """A trial starts or goes on."""
        self._state.trial_started(trial)
        self._draw(lambda surface: surface.refresh())

    def on_report(self, trial: TrialView, report: Report) -> None:
        """A trial has reported."""
        text = self._state.reported(trial, report)
        if self.verbosity >= 3:
            self._draw(lambda surface: surface.line(text, lasting=True))
        else:
            self._draw(lambda surface: surface.refresh())

    def on_trial_end(self, trial: TrialView) -> None:
        """A trial has ended."""
        text = self._state.trial_ended(trial)
        failed = trial.state == TrialState.FAILED
        self._draw(lambda surface: surface.line(text, lasting=failed))

    def on_trial_pause(self, trial: TrialView) -> None:
        """A trial has freed its worker and may go on later."""
        text = self._state.trial_ended(trial)
        self._draw(lambda surface: surface.line(text, lasting=False))

    def on_run_end(self, run: RunView) -> None:
        """The search is over; phases may follow until `close`."""
        text = self._state.end(run)
        self._draw(lambda surface: surface.line(text, lasting=True))

    def close(self) -> None:
        """Stop drawing and give the terminal back; may be called twice."""
        atexit.unregister(self.close)
        self._stop.set()
        ticker, self._ticker = self._ticker, None
        if ticker is not None and ticker is not threading.current_thread():
            ticker.join(timeout=1.0)
        with self._lock:
            surface, self._surface = self._surface, None
            if surface is not None and not self._broken:
                self._guard(surface.close)

    def _draw(self, action: Callable[[Surface], None]) -> None:
        if self._broken:
            return
        with self._lock:
            if self._surface is None:
                self._guard(self._open)
            surface = self._surface
            if surface is not None:
                self._guard(lambda: action(surface))

    def _open(self) -> None:
        stream = self._stream if self._stream is not None else sys.stderr
        if stream is None:  # pythonw and some services run without one
            self._broken = True
            return
        notebook = self._stream is None
        self._surface = pick_surface(self._state, stream, live=self.verbosity >= 2, notebook=notebook)
        self._stop.clear()
        atexit.register(self.close)  # else a run that nobody closes leaves the terminal without a cursor
        every = self._surface.refresh_s
        if every is not None:
            self._ticker = threading.Thread(
                target=self._tick, args=(every,), name="autodl-progress", daemon=True
            )
            self._ticker.start()

    def _tick(self, every_s: float) -> None:
        """Keeps time and heartbeat going while the run itself is busy elsewhere."""
        while not self._stop.wait(every_s):
            self._draw(lambda surface: surface.tick())
            if self._broken:
                return

    def _guard(self, action: Callable[[], None]) -> None:
        try:
            action()
        except DRAWING_ERRORS:
            self._broken = True
