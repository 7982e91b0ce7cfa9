"""A run's directory: ``journal.jsonl`` and ``trials/<id>/``."""

from __future__ import annotations

import atexit
import heapq
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autodl.errors import JournalError, OptionError, RunExistsError
from autodl.executors.checkpoint import CHECKPOINT_NAME, before_of, forget_before
from autodl.journal import Journal, read_journal
from autodl.trial import Trial

JOURNAL_NAME = "journal.jsonl"
TRIALS_NAME = "trials"


class RunDirectory:
    """Opens and writes a run's files.

    Args:
        path: the directory; None: a temporary one, removed when Python exits.
        keep_checkpoints: the checkpoints of this many best ended trials are kept; None: all.
    """

    def __init__(self, path: str | Path | None, keep_checkpoints: int | None) -> None:
        if path is None:
            self.path = Path(tempfile.mkdtemp(prefix="autodl-run-"))
            atexit.register(shutil.rmtree, self.path, ignore_errors=True)
        else:
            self.path = Path(path).expanduser().absolute()
        self.journal_path = self.path / JOURNAL_NAME
        self._keep = keep_checkpoints
        self._kept: list[tuple[tuple[float, float], int]] = []  # heap of (merit, -trial_id): the worst first
        self._journal: Journal | None = None

    def open(self, *, resume: bool) -> list[dict[str, Any]]:
        """Take the directory; the events of the run it holds, none for a new run.

        Raises:
            RunExistsError: it holds a run and `resume` is not set.
            OptionError: the path is a file.
            JournalError: another process runs in it, or the journal is gone or damaged.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OptionError(f"path {self.path} is a file; name a directory for the run")
        has_journal = self.journal_path.exists() and self.journal_path.stat().st_size > 0
        has_trials = (self.path / TRIALS_NAME).exists() and any((self.path / TRIALS_NAME).iterdir())
        if (has_journal or has_trials) and not resume:
            raise RunExistsError(
                f"{self.path} holds a run already: go on with it (resume=True), or name another path"
            )
        if has_trials and not has_journal:
            raise JournalError(
                f"{self.path} holds trials but no {JOURNAL_NAME}: restore it, or name another path"
            )
        self._journal = Journal(self.journal_path)
        try:
            return read_journal(self.journal_path)
        except BaseException:
            self.close()
            raise

    def write(self, event: Mapping[str, Any]) -> None:
        """Append an event to the journal.

        Raises:
            JournalError: the disk is full.
        """
        assert self._journal is not None
        self._journal.append(event)

    def try_write(self, event: Mapping[str, Any]) -> None:
        """Append an event that the run can do without."""
        try:
            self.write(event)
        except JournalError:
            pass  # `write` said so when it mattered

    def close(self) -> None:
        """Force the journal to the disk and free its lock."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def trial_dir(self, trial_id: int) -> Path:
        """The folder of one trial; made by the trial when it first writes."""
        return self.path / TRIALS_NAME / str(trial_id)

    def trial_ended(self, trial: Trial) -> None:
        """Remove the checkpoint that falls out of the best ones now; other files of trials stay."""
        if self._keep is None:
            return
        best = trial.best
        if best is None or best.score is None:
            self._remove(trial.trial_id)
            return
        heapq.heappush(self._kept, (best.merit, -trial.trial_id))
        if len(self._kept) > self._keep:
            self._remove(-heapq.heappop(self._kept)[1])

    def stage_copy(self, source: int, trial_id: int) -> bool:
        """Set a copy of a trial's checkpoint aside for another; False: it has none.

        Done before the journal tells of it, and put in place after: whenever the driver dies, either
        the journal knows and the copy is there, or neither counts. Other files are not copied.

        Raises:
            JournalError: the disk is full.
        """
        origin, staged = self.trial_dir(source) / CHECKPOINT_NAME, self._staged(trial_id)
        partial = staged.with_suffix(".part")
        try:
            staged.parent.mkdir(parents=True, exist_ok=True)
            staged.unlink(missing_ok=True)
            shutil.copyfile(origin, partial)  # a hard copy: the source replaces its file, and may remove it
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, staged)
        except FileNotFoundError:
            return False
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise JournalError(
                f"cannot copy the checkpoint {origin} ({error}): free some space, then resume the run"
            ) from error
        return True

    def apply_copy(self, trial_id: int) -> None:
        """Let the copy that was set aside, if any, replace the trial's checkpoint."""
        try:
            target = self.trial_dir(trial_id) / CHECKPOINT_NAME
            if self._staged(trial_id).exists():
                forget_before(target)
            os.replace(self._staged(trial_id), target)
        except FileNotFoundError:
            pass  # nothing could be copied, or it was put in place before the driver died

    def drop_copy(self, trial_id: int) -> None:
        """Forget a copy of which the journal does not know."""
        self._staged(trial_id).unlink(missing_ok=True)

    def _staged(self, trial_id: int) -> Path:
        return self.trial_dir(trial_id) / f"{CHECKPOINT_NAME}.copied"

    def _remove(self, trial_id: int) -> None:
        try:
            file = self.trial_dir(trial_id) / CHECKPOINT_NAME
            before_of(file).unlink(missing_ok=True)
            file.unlink(missing_ok=True)
        except OSError:
            pass  # a checkpoint too many does no harm
