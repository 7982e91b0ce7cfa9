"""`ImageClassifier`: fits itself to images, predicts, evaluates, explains; a scikit-learn estimator."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from autodl.data import ImageTable, read_images
from autodl.data.table import name_some
from autodl.errors import BadImageError, NotFittedError, OptionError
from autodl.tasks import image_inspect, image_report, image_request, run_file
from autodl.tasks.image_fit import FitOutcome, fit_images
from autodl.tasks.image_predictor import Prediction
from autodl.tasks.predictor_format import NetFactory, load_predictor, save_predictor
from autodl.training import confusion_matrix, get_metric

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Finds and trains an image classifier within the time it is given.

    A scikit-learn estimator: arguments are kept as given, learned state ends in ``_``. For the
    arguments see `autodl.ImageClassification.fit`, which is ``ImageClassifier(...).fit(data)``.

    Attributes:
        classes_: (k,) labels, sorted.
        predictor_: the trained ensemble.
        result_: the search (trials, best config); absent after `load`.
        data_: what was trained and validated on, with the audit; absent after `load`.
        augmentation_: how images were augmented, and why; absent after `load`.
        architecture_: what ``nas=`` found, and how; None without it; absent after `load`.
        validation_score_: the metric of the ensemble on images it has not seen.
        fit_seconds_: wall-clock seconds of the fit.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> X, y = load_digits(return_X_y=True)
        >>> classifier = ImageClassifier(num_trials=1, epochs=1, verbosity=0).fit(X[:200], y[:200])
        >>> classifier.predict(X[:5]).shape
        (5,)
    """

    def __init__(  # noqa: PLR0913  # scikit-learn wants every option as an argument of its own
        self,
        *,
        time_limit: str | float | None = None,
        num_trials: int | None = None,
        presets: str = "medium",
        net: Any = None,
        nas: Any = None,
        weights: str | Path | None = "auto",
        optimizer: Any = None,
        augment: Any = "auto",
        epochs: int | None = None,
        batch_size: int | None = None,
        input_size: int | None = None,
        metric: Any = "accuracy",
        searcher: Any = "random",
        scheduler: Any = "fifo",
        executor: Any = None,
        num_workers: int = 1,
        class_weight: Any = "auto",
        training: Any = None,
        validation: Any = None,
        seed: int = 0,
        path: str | Path | None = None,
        on_bad_image: str = "skip",
        verbosity: int = 2,
    ) -> None:
        self.time_limit = time_limit
        self.num_trials = num_trials
        self.presets = presets
        self.net = net
        self.nas = nas
        self.weights = weights
        self.optimizer = optimizer
        self.augment = augment
        self.epochs = epochs
        self.batch_size = batch_size
        self.input_size = input_size
        self.metric = metric
        self.searcher = searcher
        self.scheduler = scheduler
        self.executor = executor
        self.num_workers = num_workers
        self.class_weight = class_weight
        self.training = training
        self.validation = validation
        self.seed = seed
        self.path = path
        self.on_bad_image = on_bad_image
        self.verbosity = verbosity

    # ------------------------------------------------------------------ fitting

    def fit(  # how the data is read, and how the run goes on
        self,
        X: Any,
        y: Any = None,
        *,
        tuning_data: Any = None,
        label: str | None = None,
        image: str | None = None,
        resume: bool = False,
        callbacks: Sequence[object] = (),
    ) -> Self:
        """Search, train, select.

        Args:
            X: images, (n, h, w), (n, h, w, c), (n, c, h, w) or flat (n, d) arrays; or any data
                that `autodl.ImageClassification.fit` reads (a folder, a table, ...).
            y: (n,) labels; None if `X` has them.
            tuning_data: what trials are compared on; None: a part of `X`.
            label: the label column of a table; None: found by name.
            image: the image column of a table; None: found by name.
            resume: go on with the run at `path`.
            callbacks: objects with hooks of `autodl.engine.callbacks`.
        """
        started_at = time.time()
        request = image_request.make_request(
            self.get_params(deep=False),
            X if y is None else (X, y),
            tuning_data=tuning_data,
            columns=(label, image),
            resume=resume,
            callbacks=callbacks,
            started_at=started_at,
        )
        return self._adopt(fit_images(request))

    def _adopt(self, outcome: FitOutcome) -> Self:
        self.predictor_ = outcome.predictor
        self.classes_ = image_request.class_array(outcome.data.class_map)
        self.result_, self.data_, self.selection_ = outcome.result, outcome.data, outcome.selection
        self.augmentation_, self.architecture_ = outcome.augmentation, outcome.architecture
        self.validation_score_ = outcome.selection.value
        self.fit_seconds_ = outcome.seconds
        self.history_ = image_inspect.history(outcome)
        return self

    @classmethod
    def resume(cls, path: str | Path, *, time_limit: str | float | None = None, **changes: Any) -> Self:
        """Go on with a fit that was interrupted, from what its run directory holds.

        Args:
            path: the run directory given to `fit`.
            time_limit: for the rest; None: what was left of the first limit, at least 10 s.
            **changes: arguments that a file cannot hold (``net=MyNet()``), as in the first call.

        Raises:
            JournalError: there is no run at the path.
            OptionError: an argument of the first call is missing, or one is unknown.
        """
        path = Path(path).expanduser()
        known = cls().get_params(deep=False)
        if strangers := [name for name in changes if name not in known]:
            raise OptionError(f"resume takes no argument {strangers[0]!r}; it takes: {', '.join(known)}")
        params = run_file.read(path, changes)
        if time_limit is None:
            limit = image_request.time_limit_of(params)
            time_limit = None if limit is None else run_file.rest_of(path, limit)
        classifier = cls(**{**params, "time_limit": time_limit})
        return classifier.fit(None, resume=True)

    # ------------------------------------------------------------------ predicting

    def predict(self, data: Any) -> Any:
        """The most probable label of each image.

        Args:
            data: an image (path, PIL image, array) gives one label; a list or an array of images
                an array of labels; a folder, table or archive a pandas Series with the images'
                names as its index. Images that cannot be read get None and a warning.

        Raises:
            BadImageError: a single image cannot be read.
        """
        return self._predict(data, self._labels_of)

    def predict_proba(self, data: Any) -> Any:
        """Probability of each class; as `predict`, with (k,), (n, k) arrays or a DataFrame."""
        return self._predict(data, lambda probs: probs)

    def _labels_of(self, probs: NDArray[np.float32]) -> NDArray[Any]:
        unreadable = ~np.isfinite(probs).all(axis=1)
        labels: NDArray[Any] = self.classes_[np.nan_to_num(probs).argmax(axis=1)]
        if unreadable.any():
            labels = labels.astype(object)
            labels[unreadable] = None
        return labels

    def _predict(self, data: Any, shape: Callable[[NDArray[np.float32]], NDArray[Any]]) -> Any:
        data = image_request.numbers_of(data)
        table = self._read(data)
        single = image_request.is_single_image(data)
        prediction = self.predictor_.predict_table(table, on_bad_image="raise" if single else "skip")
        self._warn_of_bad_images(prediction, table)
        values = shape(prediction.probs)
        if single:
            return values[0]
        if not image_request.is_named_collection(data):
            return values
        if values.ndim == 1:
            # Told that they are objects, pandas keeps the None of an unreadable image.
            dtype = object if values.dtype == object else None
            return pd.Series(values, index=list(prediction.names), name="label", dtype=dtype)
        return pd.DataFrame(values, index=list(prediction.names), columns=list(self.classes_))

    def _read(self, data: Any, **options: Any) -> ImageTable:
        self._check_fitted()
        labelled = options.pop("labelled", False)
        return read_images(data, labelled=labelled, pixel_range=self._pixel_range(), **options)

    def _pixel_range(self) -> tuple[float, float] | None:
        pixel_range = self.predictor_.facts.get("pixel_range")
        return None if pixel_range is None else (float(pixel_range[0]), float(pixel_range[1]))

    def _warn_of_bad_images(self, prediction: Prediction, table: ImageTable) -> None:
        bad = [name for name, ok in zip(prediction.names, prediction.readable, strict=True) if not ok]
        if len(bad) == len(table):
            raise BadImageError(
                f"none of the {len(bad)} image(s) in {table.origin} can be read: {name_some(bad)}"
            )
        if bad:
            warnings.warn(
                f"{len(bad)} of {len(table)} images cannot be read and have no prediction: {name_some(bad)}",
                UserWarning,
                stacklevel=4,
            )

    def _check_fitted(self) -> None:
        if not hasattr(self, "predictor_"):
            raise NotFittedError("this ImageClassifier is not fitted yet; call fit(data) or load(path) first")

    # ------------------------------------------------------------------ judging

    def evaluate(
        self,
        data: Any,
        y: Any = None,
        *,
        metrics: Any = None,
        label: str | None = None,
        image: str | None = None,
    ) -> dict[str, Any]:
        """Metrics on labelled images.

        Args:
            data: as in `fit`; of a folder with train and test parts, the test part is taken.
            y: (n,) labels; None if `data` has them.
            metrics: names (accuracy, top_5, f1_macro, balanced_accuracy, roc_auc, log_loss, ...,
                confusion_matrix) or callables ``(y (n,), probs (n, k)) -> float`` with class
                numbers, one or several; None: accuracy, f1_macro and the metric of the fit.
            label: the label column of a table.
            image: the image column of a table.

        Returns:
            Metric name to value; the confusion matrix is a DataFrame (rows: true classes).

        Raises:
            LabelError: labels are missing, or some are of classes that the classifier does not know.
        """
        truth, probs, _ = self._judge(data, y, label, image)
        chosen = image_request.chosen_metrics(metrics, self.metric)
        values: dict[str, Any] = {}
        for wanted in chosen:
            if wanted == "confusion_matrix":
                names = list(self.predictor_.class_map.names)
                counts = confusion_matrix(truth, probs)
                values["confusion_matrix"] = pd.DataFrame(counts, index=names, columns=names)
            else:
                metric = get_metric(wanted)
                values[metric.name] = metric(truth, probs)
        return values

    def _judge(
        self, data: Any, y: Any, label: str | None, image: str | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
        """Class numbers and probabilities of the readable images, and which of all these are."""
        self._check_fitted()
        table = self._read(data if y is None else (data, y), label=label, image=image, labelled=True)
        table = image_request.part_for_evaluation(table)
        truth = self.predictor_.class_map.encode(table.labels, where=table.origin)
        prediction = self.predictor_.predict_table(table)
        self._warn_of_bad_images(prediction, table)
        readable = prediction.readable
        return truth[readable], prediction.probs[readable], readable

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy; for scikit-learn."""
        truth, probs, readable = self._judge(X, y, None, None)
        weights = None if sample_weight is None else np.asarray(sample_weight)[readable]
        return float(np.average(probs.argmax(axis=1) == truth, weights=weights))

    # ------------------------------------------------------------------ looking inside

    def leaderboard(self) -> pd.DataFrame:
        """One row a trial, best first; ``weight`` is its share in the ensemble."""
        self._check_fitted()
        return image_inspect.leaderboard(self.history_)

    def fit_summary(self) -> dict[str, Any]:
        """What the fit did, JSON-able: score, trials, ensemble, architecture, augmentation, ..."""
        self._check_fitted()
        return {k: copy.deepcopy(v) for k, v in self.history_.items() if k != "leaderboard"}

    def plot(self, kind: str = "curves") -> Figure:
        """A figure: "curves", "incumbent", "importance", "parallel", "slices", "timeline", "confusion"."""
        return image_inspect.plot(self, kind)

    def report(self, path: str | Path = "report.html") -> Path:
        """Write the report: one HTML file that opens offline."""
        return image_report.write(self, Path(path).expanduser())

    def explain(self, image: Any, label: Any = None) -> Figure:
        """Where the classifier looks: Grad-CAM of its strongest network.

        Args:
            image: one image.
            label: the class to explain; None: the predicted one.

        Source: R. R. Selvaraju et al., "Grad-CAM", ICCV 2017.
        """
        return image_inspect.explain(self, image, label)

    # ------------------------------------------------------------------ keeping

    def save(self, path: str | Path) -> Path:
        """Write the predictor: safetensors and JSON, no pickle.

        Args:
            path: a directory, or one file if it ends in ``.zip`` or ``.autodl``.
        """
        self._check_fitted()
        return save_predictor(
            Path(path).expanduser(), self.predictor_.network, image_inspect.facts_to_save(self)
        )

    @classmethod
    def load(cls, path: str | Path, *, trust_code: bool = False, net: NetFactory | None = None) -> Self:
        """Read what `save` wrote.

        Args:
            path: the directory or file.
            trust_code: allow the import of a user's own network class that the file names.
            net: the user's own network instead: a class, function or module.
        """
        path = Path(path).expanduser()
        network, document = load_predictor(path, trust_code=trust_code, net=net)
        return image_inspect.restore(cls, network, document, path)

    def export(self, path: str | Path) -> Path:
        """Write the network for other programs: ``.pt2`` (torch.export) or ``.onnx``.

        Its input is (n, 3, s, s) float32, RGB in [0, 1], s = ``predictor_.input_size``; its output
        are probabilities (n, k). The file is read back and compared with this classifier.
        """
        self._check_fitted()
        return image_inspect.export(self, Path(path).expanduser())

    # ------------------------------------------------------------------ scikit-learn

    @property
    def metric_name_(self) -> str:
        """The metric's name."""
        return get_metric(self.metric).name

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "predictor_")
