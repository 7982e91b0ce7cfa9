import io
import sys
import types

import pytest
from rich.console import Console

from autodl.report.progress import ProgressDisplay
from autodl.report.progress_state import ProgressState
from autodl.report.progress_surface import (
    LineSurface,
    in_notebook,
    pick_surface,
    render_notebook,
    render_panel,
)
from autodl.trial import Trial


class Handle:
    def __init__(self) -> None:
        self.shown: list[str] = []

    def update(self, thing: object) -> None:
        self.shown.append(thing._repr_html_())  # type: ignore[attr-defined]


@pytest.fixture
def notebook(monkeypatch):
    """A stand-in for IPython inside a kernel."""
    handle = Handle()
    ipython, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    display.display = lambda thing, display_id: handle
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return handle


def panel(state: ProgressState) -> str:
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    console.print(render_panel(state))
    return console.file.getvalue()


def test_the_panel_tells_trials_best_time_and_what_runs(run):
    state = ProgressState()
    state.set_phase("computing features")
    assert "computing features" in panel(state)
    state.start(run)
    state.trial_started(Trial(12, {}))
    shown = panel(state)
    for words in ("12/20 trials done, 1 running, 1 failed", "best accuracy 0.", "(trial 5)", "3 min left"):
        assert words in shown
    assert state.fraction() == pytest.approx(0.6)
    state.end(run)
    assert "finishing" in panel(state)


def test_the_bar_follows_time_when_it_is_further(make_run):
    state = ProgressState()
    state.start(make_run(2, elapsed_s=270.0))
    assert state.fraction() == pytest.approx(0.9)
    state.start(make_run(2, num_trials=None, time_limit_s=None))
    assert state.fraction() is None
    assert "2 trials done" in panel(state)


def test_a_notebook_refreshes_in_place_and_escapes(notebook, run):
    run.metric = "<b>acc"
    assert in_notebook()
    with ProgressDisplay() as display:
        display.phase("reading <images>")
        display.on_run_start(run)
        display.on_run_end(run)
    assert "reading &lt;images&gt;" in notebook.shown[0]
    assert 'value="0.600"' in notebook.shown[1]
    assert "best &lt;b&gt;acc" in notebook.shown[1]
    assert "search finished: 12 trials" in notebook.shown[-1]
    assert "<progress" not in notebook.shown[-1]


def test_outside_a_notebook_and_with_an_own_stream_lines_are_written(notebook):
    surface = pick_surface(ProgressState(), io.StringIO(), live=True, notebook=False)
    assert isinstance(surface, LineSurface)
    assert notebook.shown == []


def test_a_shell_without_a_kernel_is_no_notebook(monkeypatch):
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: None
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert not in_notebook()


def test_a_front_end_that_is_gone_breaks_nothing(notebook, run, monkeypatch):
    def gone(_: object) -> None:
        raise OSError("socket closed")

    monkeypatch.setattr(notebook, "update", gone)
    with ProgressDisplay() as display:
        display.phase("a")
        display.on_run_start(run)
        display.on_run_end(run)


def test_an_unlimited_run_has_a_bar_without_a_value(make_run):
    state = ProgressState()
    state.start(make_run(2, num_trials=None, time_limit_s=None))
    assert '<progress max="1" style' in render_notebook(state)
