"""What the progress display knows of a run, and how it says it; no drawing here."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from autodl.report.ranking import ranked
from autodl.report.view import RunView, TrialView
from autodl.report.wording import count, error_summary, format_duration, format_value
from autodl.trial import Report, TrialState


@dataclass(frozen=True, slots=True)
class Best:
    """The best measurement so far."""

    trial_id: int
    value: float
    score: float


class ProgressState:
    """Counts kept up by events, so that a refresh costs the same after 10,000 trials as after one.

    Attributes:
        phase: what is being done, "" when nothing was said.
        run: the run under way, None before the search.
        done, failed, running: ids of trials.
        best: the best so far.
        over: the search has ended.
    """

    def __init__(self) -> None:
        self.phase = ""
        self.phase_since = time.monotonic()
        self.run: RunView | None = None
        self.done: set[int] = set()
        self.failed: set[int] = set()
        self.running: set[int] = set()
        self.best: Best | None = None
        self.over = False

    def set_phase(self, text: str) -> None:
        """A phase begins."""
        self.phase, self.phase_since = text, time.monotonic()

    def start(self, run: RunView) -> str:
        """The search begins; returns a line about it."""
        for ids in (self.done, self.failed, self.running):  # a second run starts from nothing
            ids.clear()
        self.run, self.best, self.over = run, None, False
        for trial in run.trials:
            if trial.state.ended:
                self.done.add(trial.trial_id)
            if trial.state == TrialState.FAILED:
                self.failed.add(trial.trial_id)
        self._rank_all()
        self.set_phase("searching")
        parts = ["searching"]
        if run.num_trials is not None:
            parts.append(count(run.num_trials, "trial"))
        if run.time_limit_s is not None:
            parts.append(f"at most {format_duration(run.time_limit_s)}")
        parts.append(count(run.num_workers, "worker"))
        if self.done:
            parts.append(f"{len(self.done)} done before")
        return ", ".join(parts)

    def trial_started(self, trial: TrialView) -> None:
        """A trial runs."""
        self.running.add(trial.trial_id)

    def reported(self, trial: TrialView, report: Report) -> str:
        """A measurement; returns a line about it."""
        self.running.add(trial.trial_id)
        better = self._note_best(trial.trial_id, report)
        value = f"{self.metric} {format_value(report.value)}"
        return f"trial {trial.trial_id}, epoch {report.resource}: {value}{', best so far' if better else ''}"

    def trial_ended(self, trial: TrialView) -> str:
        """A trial's end (or pause); returns a line about it."""
        self.running.discard(trial.trial_id)
        if not trial.state.ended:
            return f"trial {trial.trial_id} {trial.state} after {count(trial.resource, 'epoch')}"
        self.done.add(trial.trial_id)
        self._note_best(trial.trial_id, trial.best)
        if trial.state == TrialState.FAILED:
            self.failed.add(trial.trial_id)
            self._drop_best(trial.trial_id)
            text = f"trial {trial.trial_id} failed: {error_summary(trial.error)}"
        else:
            text = f"trial {trial.trial_id} {trial.state}: {self._outcome(trial)}"
        return f"{text}; {self.status()}"

    def end(self, run: RunView) -> str:
        """The search is over; returns a line about it."""
        self.over = True
        self.running.clear()
        self.set_phase("finishing")
        failed = f" ({len(self.failed)} failed)" if self.failed else ""
        took = format_duration(run.elapsed_s)
        return f"search finished: {count(len(self.done), 'trial')}{failed} in {took}; {self.best_text()}"

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self.run.metric if self.run is not None else "value"

    def best_text(self) -> str:
        """``"best accuracy 0.93 (trial 4)"``."""
        if self.best is None:
            return "no score yet" if not self.over else "no trial reported a score"
        return f"best {self.metric} {format_value(self.best.value)} (trial {self.best.trial_id})"

    def trials_text(self) -> str:
        """``"4/12 trials done, 2 running"``."""
        planned = self.run.num_trials if self.run is not None else None
        done = len(self.done)
        parts = [count(done, "trial") if planned is None else f"{done}/{planned} trials"]
        parts[0] += " done"
        if self.running:
            parts.append(f"{len(self.running)} running")
        if self.failed:
            parts.append(f"{len(self.failed)} failed")
        return ", ".join(parts)

    def time_text(self) -> str:
        """``"3 min 20 s left"``, or the time gone by where no limit was set."""
        if self.run is None or self.over:
            return f"{format_duration(time.monotonic() - self.phase_since)} so far"
        if self.run.time_limit_s is None:
            return f"{format_duration(self.run.elapsed_s)} so far"
        return f"{format_duration(self.run.time_limit_s - self.run.elapsed_s)} left"

    def status(self) -> str:
        """All of it in one line."""
        if self.run is None or self.over:
            return f"{self.phase or 'working'}, {self.time_text()}"
        return f"{self.trials_text()}; {self.best_text()}; {self.time_text()}"

    def fraction(self) -> float | None:
        """How much of the run is over, in [0, 1]: by trials or by time, whichever is further; or None."""
        if self.run is None:
            return None
        shares = []
        if self.run.num_trials:
            shares.append(len(self.done) / self.run.num_trials)
        if self.run.time_limit_s:
            shares.append(self.run.elapsed_s / self.run.time_limit_s)
        if self.over:
            return 1.0
        return min(1.0, max(shares)) if shares else None

    def _outcome(self, trial: TrialView) -> str:
        best = trial.best
        parts = ["no score" if best is None else f"{self.metric} {format_value(best.value)}"]
        if trial.resource > 1:
            parts.append(count(trial.resource, "epoch"))
        if trial.ended_s is not None:
            parts.append(format_duration(trial.ended_s - trial.started_s))
        return ", ".join(parts)

    def _drop_best(self, trial_id: int) -> None:
        """A trial that failed does not lead any more; rare enough to look at every trial again."""
        if self.best is not None and self.best.trial_id == trial_id:
            self._rank_all()

    def _rank_all(self) -> None:
        self.best = None
        for trial in ranked(self.run.trials)[:1] if self.run is not None else ():
            self._note_best(trial.trial_id, trial.best)

    def _note_best(self, trial_id: int, report: Report | None) -> bool:
        if report is None or report.score is None or report.value is None or math.isnan(report.score):
            return False
        if self.best is not None and report.score <= self.best.score:
            return False
        self.best = Best(trial_id, report.value, report.score)
        return True
