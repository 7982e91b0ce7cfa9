"""``autodl fit``."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from autodl.cli.finish import Wanted, finish
from autodl.cli.options import (
    AsJson,
    Debug,
    Image,
    Label,
    NumTrials,
    ReportFile,
    Save,
    TimeLimit,
    Verbosity,
)
from autodl.cli.runs import JOURNAL, new_run_path
from autodl.cli.session import say, session
from autodl.errors import OptionError

NETWORKS, SEARCH, LIMITS = "Networks and training", "Search", "Limits"


def fit(  # noqa: PLR0913  # one option for each argument of the Python API
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A folder with a folder per class (also inside train, val, test), a zip or tar of one, "
            "or a CSV or parquet file with an image and a label column.",
            show_default=False,
        ),
    ],
    time_limit: TimeLimit = None,
    num_trials: NumTrials = None,
    presets: Annotated[
        str,
        typer.Option(
            "--presets",
            "--preset",
            help="fast (2 minutes), medium (10 minutes) or best (an hour).",
            rich_help_panel=LIMITS,
        ),
    ] = "medium",
    net: Annotated[
        list[str] | None,
        typer.Option(
            help="A network's name, e.g. small_resnet, efficientnet_lite0, resnet18; may be given again. "
            "Default: what suits the images.",
            show_default=False,
            rich_help_panel=NETWORKS,
        ),
    ] = None,
    nas: Annotated[
        str | None,
        typer.Option(
            help="Search the architecture first, e.g. darts, enas, evolution; --net then names a space: "
            "darts, proxyless, fbnet, ...",
            show_default=False,
            rich_help_panel=NETWORKS,
        ),
    ] = None,
    weights: Annotated[
        str, typer.Option(help='"auto", "pretrained", "none" or a file.', rich_help_panel=NETWORKS)
    ] = "auto",
    optimizer: Annotated[
        str | None, typer.Option(help="Its name, e.g. SGD.", show_default=False, rich_help_panel=NETWORKS)
    ] = None,
    augment: Annotated[
        str,
        typer.Option(
            help="auto (compares), fast_aa (searches a policy), trivial, rand, uniform, auto_augment, "
            "augmix, standard, crop, none; or a policy's JSON file.",
            rich_help_panel=NETWORKS,
        ),
    ] = "auto",
    epochs: Annotated[
        int | None,
        typer.Option(help="Of every training.", show_default="what fits the time", rich_help_panel=NETWORKS),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Images a step.", show_default="by number of images", rich_help_panel=NETWORKS),
    ] = None,
    input_size: Annotated[
        int | None,
        typer.Option(
            help="Side of what networks see, pixels.", show_default="by the images", rich_help_panel=NETWORKS
        ),
    ] = None,
    class_weight: Annotated[
        str, typer.Option(help='"auto", "balanced" or "none".', rich_help_panel=NETWORKS)
    ] = "auto",
    metric: Annotated[
        str,
        typer.Option(
            help="What is made best: accuracy, f1_macro, balanced_accuracy, log_loss, roc_auc, ...",
            rich_help_panel=SEARCH,
        ),
    ] = "accuracy",
    searcher: Annotated[
        str,
        typer.Option(
            "--searcher", "--search-strategy", help="random, bayesian or grid.", rich_help_panel=SEARCH
        ),
    ] = "random",
    scheduler: Annotated[str, typer.Option(help="fifo or asha.", rich_help_panel=SEARCH)] = "fifo",
    num_workers: Annotated[int, typer.Option(help="Trials at once.", rich_help_panel=SEARCH)] = 1,
    seed: Annotated[int, typer.Option(help="Fixes everything random.", rich_help_panel=SEARCH)] = 0,
    tuning_data: Annotated[
        Path | None,
        typer.Option(
            help="Labelled images to compare trials on.", show_default="a part of DATA that is held out"
        ),
    ] = None,
    label: Label = None,
    image: Image = None,
    on_bad_image: Annotated[
        str, typer.Option(help='Images that cannot be read: "skip" and report, or "raise" (an error).')
    ] = "skip",
    path: Annotated[
        Path | None,
        typer.Option(help="Run directory, which can be resumed.", show_default="runs/NAME-TIME"),
    ] = None,
    go_on: Annotated[
        bool, typer.Option("--resume", help="Go on with the run at --path; DATA is read again if need be.")
    ] = False,
    save: Save = None,
    report: ReportFile = None,
    verbosity: Verbosity = 2,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Search and train an image classifier within the time you name.

    The summary goes to stdout. After an interruption: autodl resume RUN_DIRECTORY.
    """
    with session(debug):
        arguments: dict[str, Any] = {
            "time_limit": time_limit,
            "num_trials": num_trials,
            "presets": presets,
            "net": _one_or_all(net),
            "nas": nas,
            "weights": _or_none(weights),
            "optimizer": optimizer,
            "augment": _policy_or_name(augment),
            "epochs": epochs,
            "batch_size": batch_size,
            "input_size": input_size,
            "class_weight": _or_none(class_weight),
            "metric": metric,
            "searcher": searcher,
            "scheduler": scheduler,
            "num_workers": num_workers,
            "seed": seed,
            "tuning_data": tuning_data,
            "label": label,
            "image": image,
            "on_bad_image": on_bad_image,
            "resume": go_on,
            "verbosity": verbosity,
        }
        with _run_directory(path, data) as run:
            from autodl import ImageClassification  # noqa: PLC0415  # torch takes seconds to import

            callbacks = (HowToGoOn(run),) if verbosity > 0 else ()
            classifier = ImageClassification.fit(data, path=run, callbacks=callbacks, **arguments)
        finish(classifier, Wanted(run, save, report, as_json))


class HowToGoOn:
    """Says how to resume the run as soon as it can be: when the data is read and the search begins."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_run_start(self, run: object) -> None:
        """The tuner's hook."""
        say(f"if it is interrupted, go on with: autodl resume {shlex.quote(str(self._path))}")


@contextmanager
def _run_directory(path: Path | None, data: Path) -> Iterator[Path]:
    """The run's directory; one that was chosen here is removed again if the fit fails before it has run."""
    if path is not None:
        yield path
        return
    run = new_run_path(data)
    try:
        yield run
    except BaseException:
        if not (run / JOURNAL).exists():
            shutil.rmtree(run, ignore_errors=True)
        raise


def _one_or_all(names: list[str] | None) -> str | list[str] | None:
    if not names:
        return None
    return names[0] if len(names) == 1 else names


def _policy_or_name(value: str) -> Any:
    """A policy where a JSON file is named.

    Raises:
        OptionError: the file cannot be read, or holds no policy.
    """
    if not value.lower().endswith(".json"):
        return value
    from autodl.augment import policy_from_json  # noqa: PLC0415  # torch takes seconds to import

    try:
        text = Path(value).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"--augment: the policy file {value} cannot be read: {error}") from error
    return policy_from_json(text)


def _or_none(value: str) -> str | None:
    return None if value.lower() == "none" else value
