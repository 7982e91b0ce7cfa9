import io
import pickle
import re
import threading

import pytest

from autodl.report import progress_surface
from autodl.report.progress import ProgressDisplay
from autodl.trial import Report, Trial, TrialState


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    """A pipe whose reader has gone."""

    writes = 0

    def write(self, _: str) -> int:
        self.writes += 1
        raise BrokenPipeError(32, "Broken pipe")


def play(display: ProgressDisplay, run) -> None:
    """Runs the made trials past the display as the tuner would."""
    trials, run.trials = run.trials, []
    with display:
        display.phase("reading images")
        display.on_run_start(run)
        for trial in trials:
            run.trials.append(trial)
            display.on_trial_start(trial)
            for report in trial.reports:
                display.on_report(trial, report)
            display.on_trial_end(trial)
        display.on_run_end(run)
        display.phase("choosing the ensemble")


def lines(stream: io.StringIO) -> list[str]:
    timed = [line.split("  ", 1) for line in stream.getvalue().splitlines()]
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d", time) for time, _ in timed)
    return [text for _, text in timed]


def test_a_log_gets_one_line_a_finished_trial(run):
    stream = io.StringIO()
    play(ProgressDisplay(stream=stream), run)
    told = lines(stream)
    assert told[:2] == ["reading images", "searching, 20 trials, at most 5 min, 2 workers"]
    assert len([line for line in told if re.match(r"trial \d+ (completed|failed)", line)]) == 12
    assert told[2].startswith("trial 0 completed: accuracy ")
    assert "4 epochs, 10 s; 1/20 trials done; best accuracy" in told[2]
    assert told[4].startswith("trial 2 failed: TrialError: the loss is NaN; 3/20 trials done, 1 failed")
    best = f"{run.trials[5].best.value:.4g}"
    assert told[-2] == f"search finished: 12 trials (1 failed) in 2 min; best accuracy {best} (trial 5)"
    assert told[-1] == "choosing the ensemble"
    assert "\x1b" not in stream.getvalue()


def test_verbosity_zero_is_silent_and_three_tells_every_report(run, make_run):
    silent, loud = io.StringIO(), io.StringIO()
    play(ProgressDisplay(0, silent), run)
    assert silent.getvalue() == ""
    play(ProgressDisplay(3, loud), make_run())
    assert len([line for line in lines(loud) if ", epoch " in line]) == 44
    assert "trial 0, epoch 2: accuracy" in loud.getvalue()


def test_a_resumed_run_counts_what_was_done_before(run):
    stream = io.StringIO()
    with ProgressDisplay(stream=stream) as display:
        display.on_run_start(run)
        display.on_trial_start(extra := Trial(12, {}))
        extra.state = TrialState.STOPPED
        display.on_trial_end(extra)
    assert lines(stream)[0].endswith("12 done before")
    assert "trial 12 stopped: no score; 13/20 trials done, 1 failed; best accuracy" in lines(stream)[1]
    assert "(trial 5)" in lines(stream)[1]


def test_lower_is_better_when_the_scores_say_so(make_run, make_trial):
    run = make_run(0, metric="loss", mode="min")
    run.trials = [make_trial(i, {}, [v], sign=-1.0) for i, v in enumerate([0.5, 0.2, 0.9])]
    stream = io.StringIO()
    play(ProgressDisplay(stream=stream), run)
    assert "best loss 0.2 (trial 1)" in lines(stream)[-2]


def test_a_trial_that_fails_loses_the_lead(make_run, make_trial):
    """What came before a failure (a NaN, a crash) is not what one would deploy."""
    run = make_run(0)
    run.trials = [make_trial(0, {}, [0.7]), make_trial(1, {}, [0.9])]
    run.trials[1].state, run.trials[1].error = TrialState.FAILED, "the loss is NaN"
    stream = io.StringIO()
    play(ProgressDisplay(stream=stream), run)
    assert "best accuracy 0.7 (trial 0)" in lines(stream)[-2]


def test_without_limits_time_gone_by_is_told(make_run):
    stream = io.StringIO()
    play(ProgressDisplay(stream=stream), make_run(1, num_trials=None, time_limit_s=None))
    assert lines(stream)[1] == "searching, 2 workers"
    assert lines(stream)[2].endswith("2 min so far")
    assert "1 trial done" in lines(stream)[2]


def test_a_paused_trial_is_not_done(run):
    stream = io.StringIO()
    trial = run.trials.pop()
    trial.state = TrialState.PAUSED
    with ProgressDisplay(stream=stream) as display:
        display.on_run_start(run)
        display.on_trial_end(trial)
    assert lines(stream)[-1] == "trial 11 paused after 4 epochs"


def test_a_broken_pipe_silences_the_display_and_nothing_else(run):
    stream = Broken()
    play(ProgressDisplay(stream=stream), run)
    assert stream.writes == 1


def test_a_closed_stream_breaks_nothing(run):
    stream = io.StringIO()
    stream.close()
    play(ProgressDisplay(stream=stream), run)


def test_characters_outside_the_encoding_are_escaped():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    with ProgressDisplay(stream=stream) as display:
        display.phase("reading Blüten/caf\udce9.jpg")
        display.message("done")
    stream.flush()
    shown = raw.getvalue().decode("ascii")
    assert "Bl\\xfcten/caf\\udce9.jpg" in shown
    assert "done" in shown


def test_a_mistake_in_the_code_is_not_swallowed(run):
    """Only what drawing can raise is caught; a bug shows."""
    with pytest.raises(ZeroDivisionError), ProgressDisplay(stream=io.StringIO()) as display:
        display._draw(lambda surface: 1 / 0)


def test_heartbeat_tells_the_state_once_it_has_been_quiet(run, monkeypatch):
    monkeypatch.setattr(progress_surface, "HEARTBEAT_S", 0.02)
    monkeypatch.setattr(progress_surface.LineSurface, "refresh_s", 0.02)
    stream, beat = io.StringIO(), threading.Event()
    write = stream.write

    def watched(text: str) -> int:
        if "trials done" in text:
            beat.set()
        return write(text)

    monkeypatch.setattr(stream, "write", watched)
    with ProgressDisplay(stream=stream) as display:
        display.on_run_start(run)
        assert beat.wait(10.0)
    assert lines(stream)[1].startswith("12/20 trials done, 1 failed; best accuracy")
    after = stream.getvalue()
    assert not [t for t in threading.enumerate() if t.name == "autodl-progress"]
    assert stream.getvalue() == after


def test_a_terminal_gets_a_live_panel_and_keeps_what_lasts(run, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    play(ProgressDisplay(stream=stream), run)
    shown = stream.getvalue()
    assert "search finished: 12 trials (1 failed)" in shown
    assert "trial 2 failed: TrialError: the loss is NaN" in shown
    assert "trial 3 completed" not in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") >= 1  # the cursor is given back


def test_no_color_is_honoured(run, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    play(ProgressDisplay(stream=stream), run)
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7])m", stream.getvalue())


def test_dumb_terminals_get_lines(run, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    play(ProgressDisplay(stream=stream), run)
    assert lines(stream)[0] == "reading images"


def test_crosses_to_a_worker_as_a_silent_copy(run):
    display = ProgressDisplay(stream=io.StringIO())
    display.on_run_start(run)
    copy = pickle.loads(pickle.dumps(display))
    display.close()
    assert copy.verbosity == 0
    copy.phase("nothing")


def test_close_may_be_called_twice_and_before_anything_was_shown():
    display = ProgressDisplay(stream=io.StringIO())
    display.close()
    display.close()


def test_nan_scores_are_never_best(make_run):
    stream = io.StringIO()
    run = make_run(0)
    with ProgressDisplay(3, stream) as display:
        display.on_run_start(run)
        trial = Trial(0, {})
        for epoch, score in enumerate([float("nan"), 0.3], 1):
            display.on_report(trial, Report(0, {}, TrialState.RUNNING, epoch, score, score))
    assert "best so far" not in lines(stream)[1]
    assert lines(stream)[2] == "trial 0, epoch 2: accuracy 0.3, best so far"
