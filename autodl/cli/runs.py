"""Run directories and saved models as commands find them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autodl.cli.session import say
from autodl.errors import JournalError, OptionError
from autodl.trial import Report, Trial, TrialState

if TYPE_CHECKING:
    from autodl import ImageClassifier
    from autodl.result import TuneResult

JOURNAL, RUN_FILE, MODEL_FILE = "journal.jsonl", "run.json", "model.autodl"


def new_run_path(data: Path, parent: Path = Path("runs")) -> Path:
    """``runs/<name of the data>-<time>``, a directory that does not exist yet."""
    name = re.sub(r"[^\w.-]+", "-", data.resolve().stem).strip("-.")[:60] or "run"
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    paths = (parent / (stem if n == 1 else f"{stem}-{n}") for n in range(1, 10_000))
    return next(path for path in paths if not path.exists())


def is_run(path: Path) -> bool:
    """Whether a fit was begun in the directory."""
    return (path / RUN_FILE).exists() or (path / JOURNAL).exists()


def require_run(path: Path) -> None:
    """Refuses what is no run directory.

    Raises:
        OptionError: there is no run.
    """
    if not is_run(path):
        what = "is no run directory" if path.exists() else "does not exist"
        raise OptionError(f"{path} {what}; name the directory of a run, as given to: autodl fit --path")


def read_result(path: Path) -> TuneResult:
    """The search of a run directory from its journal alone: finished, interrupted, or still going on.

    Raises:
        JournalError: the journal is missing or damaged.
    """
    # The engine's modules bring numpy, which help does without.
    from autodl.journal import read_journal  # noqa: PLC0415
    from autodl.result import TuneResult  # noqa: PLC0415
    from autodl.spaces import SearchSpace  # noqa: PLC0415

    if not (path / JOURNAL).exists():
        raise JournalError(f"the run at {path} has not come to its first trial")
    events = read_journal(path / JOURNAL)
    header = events[0] if events else {}
    if header.get("event") != "run":
        raise JournalError(f"{path / JOURNAL} is damaged: its first line is no run event")
    trials = _Trials(header["metric"], header["mode"])
    for event in events[1:]:
        trials.apply(event)
    space = None if header["space"] is None else SearchSpace.from_json(header["space"])
    seconds = max((event["s"] for event in events if "s" in event), default=0.0)
    last = events[-1]
    stopped_by = last["stopped_by"] if last["event"] == "done" else "interrupted"
    return TuneResult(trials.found, header["metric"], header["mode"], path, seconds, space, stopped_by)


class _Trials:
    """Rebuilds trials from a journal's events; those it does not know change nothing."""

    def __init__(self, metric: str, mode: str) -> None:
        self.found: list[Trial] = []
        self._metric, self._sign = metric, 1.0 if mode == "max" else -1.0
        self._states: dict[str, Callable[[dict[str, Any]], TrialState]] = {
            "resume": lambda event: TrialState.RUNNING,
            "requeue": lambda event: TrialState.RUNNING,
            "lost": lambda event: TrialState.RUNNING,
            "pause": lambda event: TrialState.PAUSED,
            "cut": lambda event: TrialState.STOPPED,
            "end": lambda event: TrialState(event["state"]),
        }

    def apply(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "start":
            self.found.append(Trial(event["trial"], event["config"], started_s=event["s"]))
        elif kind == "report":
            self._report(self.found[event["trial"]], event)
        elif kind in self._states:
            trial = self.found[event["trial"]]
            trial.state = self._states[kind](event)
            trial.config = event.get("config", trial.config)  # a scheduler may change it on the way
            trial.error = event.get("error")
            trial.ended_s = event["s"] if trial.state.ended else None
            trial.attempt += kind in ("requeue", "lost", "resume")

    def _report(self, trial: Trial, event: dict[str, Any]) -> None:
        metrics = {name: float(value) for name, value in event["metrics"].items()}
        value = metrics.get(self._metric)
        if value is not None and value - value != 0:  # NaN and infinities are failures, not scores
            value = None
        score = None if value is None else self._sign * value
        trial.worker = event.get("worker", "")
        trial.reports.append(
            Report(trial.trial_id, trial.config, TrialState.RUNNING, event["resource"], value, score, metrics)
        )


def load_model(path: Path) -> ImageClassifier:
    """The classifier of a saved model or of a run directory.

    A run that has not come to its end gives what its trials have left so far.

    Raises:
        DataNotFoundError: nothing is there.
        PredictorFormatError: it is no saved model, or a damaged one.
    """
    from autodl import ImageClassification  # noqa: PLC0415  # torch takes seconds to import

    if is_run(path):
        if not (path / MODEL_FILE).exists() or not _came_to_its_end(path):
            say(f"the run at {path} has not come to its end; using what its trials have left so far")
            return open_run(path)
        path = path / MODEL_FILE
    return ImageClassification.load(path)


def _came_to_its_end(path: Path) -> bool:
    """False while a run goes on or after it was killed; a model in its directory is then an older one."""
    from autodl.journal import read_journal  # noqa: PLC0415  # see `read_result`

    events = read_journal(path / JOURNAL) if (path / JOURNAL).exists() else []
    return bool(events) and events[-1].get("event") == "done"


def open_run(path: Path) -> ImageClassifier:
    """The classifier of a run with its search, data and held-out predictions; nothing is trained.

    Raises:
        JournalError: the run has not come to its first trial, or its files are damaged.
        AllTrialsFailedError: no trial has left a network yet.
    """
    # The task brings torch, which takes seconds to import.
    from autodl import ImageClassifier  # noqa: PLC0415
    from autodl.errors import UnknownNameError  # noqa: PLC0415
    from autodl.tasks.arch_record import ArchRecord  # noqa: PLC0415
    from autodl.tasks.augment_record import AugmentRecord  # noqa: PLC0415
    from autodl.tasks.image_ensemble import assemble, select  # noqa: PLC0415
    from autodl.tasks.image_fit import FitOutcome  # noqa: PLC0415
    from autodl.tasks.image_predictor import ImagePredictor  # noqa: PLC0415
    from autodl.tasks.member import Member  # noqa: PLC0415
    from autodl.tasks.predictor_format import build_body  # noqa: PLC0415
    from autodl.tasks.run_data import RunData  # noqa: PLC0415
    from autodl.training import get_metric  # noqa: PLC0415

    result = read_result(path)
    data = RunData.open(path / "data")
    try:
        metric = get_metric(result.metric)
    except UnknownNameError:  # a callable of the author's; accuracy stands in, as in saved models
        metric = get_metric("accuracy")
    found = (Member.load(result.checkpoint_dir(trial.trial_id)) for trial in result.trials)
    selection = select([member for member in found if member is not None], data, metric)
    network = assemble(
        selection, result.checkpoint_dir, lambda member: build_body(member.network), _weights_of(path)
    )
    predictor = ImagePredictor(network, data.class_map, data.facts)
    augmentation = AugmentRecord.read(path) or AugmentRecord("auto", None, "no record was kept")
    outcome = FitOutcome(
        predictor, result, data, selection, augmentation, result.seconds, ArchRecord.read(path)
    )
    return ImageClassifier(metric=metric.name)._adopt(outcome)


def _weights_of(path: Path) -> str:
    """What frozen backbones of the run are loaded with."""
    try:
        wanted = json.loads((path / RUN_FILE).read_text())["params"]["weights"]
    except (OSError, ValueError, KeyError, TypeError):
        wanted = "auto"
    return "pretrained" if wanted in ("auto", None) else str(wanted)
