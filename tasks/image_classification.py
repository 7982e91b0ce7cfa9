"""The task: `ImageClassification.fit` on images, in a few lines."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autodl.data import Dataset as ImageDataset
from autodl.errors import OptionError
from autodl.tasks.image_classifier import ImageClassifier
from autodl.tasks.predictor_format import NetFactory

ALIASES = {"time_limits": "time_limit", "search_strategy": "searcher", "preset": "presets"}
"""Names that users of AutoGluon's hands know, and ours."""


class ImageClassification:
    """Classify images.

    Example:
        ```python
        from autodl import ImageClassification

        classifier = ImageClassification.fit("cats/train", time_limit="10m")
        classifier.evaluate("cats/test")
        classifier.predict("a.jpg")
        ```
    """

    Dataset = ImageDataset
    Estimator = ImageClassifier

    @staticmethod
    def fit(  # noqa: PLR0913  # the few-line facade; groups of options are objects
        data: Any,
        y: Any = None,
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
        tuning_data: Any = None,
        label: str | None = None,
        image: str | None = None,
        class_weight: Any = "auto",
        training: Any = None,
        validation: Any = None,
        seed: int = 0,
        path: str | Path | None = None,
        resume: bool = False,
        on_bad_image: str = "skip",
        verbosity: int = 2,
        callbacks: Sequence[object] = (),
        **aliases: Any,
    ) -> ImageClassifier:
        """Search networks and training recipes, train them, and keep the best ensemble.

        Args:
            data: labelled images: a folder with a folder per class (also inside train, val, test), a
                zip or tar of one, a CSV or parquet file or DataFrame with an image and a label
                column, ``(images, labels)``, arrays, a torch or Hugging Face data set, or an
                `ImageClassification.Dataset`. It is never written to.
            y: labels, if `data` has none.
            time_limit: wall-clock limit of the whole call: seconds, ``"10m"``, ``"1h30m"``. None: the
                preset's, unless `num_trials` is given.
            num_trials: trials at most.
            presets: "fast" (2 minutes), "medium" (10 minutes) or "best" (an hour): the time limit
                when nothing else limits the search, and the size of networks.
            net: a network's name ("small_resnet", "efficientnet_lite0", any of torchvision's), several
                of them, a `torch.nn.Module`, or a class decorated with `autodl.obj`, whose arguments
                are searched. A network with open decisions (``ad.nas.spaces.DARTS()``, an
                `autodl.nas.Space`, a module or class with decision points) is searched, too: with
                `nas` before the trainings, else with the recipe by `searcher`. None: small residual
                networks up to 64 px; for photos pretrained networks if their weights are on this
                machine.
            nas: how the architecture of `net` is searched: a name ("darts", "enas", "proxyless",
                "evolution", ...), a strategy of `autodl.nas.strategies`, or `autodl.tasks.NASOptions`,
                also as a dict of its fields, with a cost and a target: ``{"strategy": "proxyless",
                "cost": "latency", "target": 2.0}`` (milliseconds). The search takes 40 % of the time
                limit; `net` may then be a space's name, or units under `autodl.obj`, see `autodl.nas.Units`.
            weights: "auto" (pretrained where they are here and help), "pretrained", None (random),
                or the path of a weights file for `net`.
            optimizer: ``ad.optim.SGD(lr=ad.Real(...))`` and the like, or a name.
            augment: "auto" (no policy, "trivial" and a policy searched for these images are compared
                on held-out images and the winner is used, where time and images suffice for that);
                "fast_aa" (search a policy and use it); "trivial" (TrivialAugmentWide), "rand"
                (RandAugment), "uniform" (UniformAugment), "auto_augment", "augmix"; without a policy
                "standard" (crop and flip), "crop", or "none" (None: the same); a policy of
                `autodl.augment`, which crop and flip follow; or your own callable ``(uint8 (b, c, h,
                w), generator) -> uint8``, which nothing follows.
            epochs: of every training; None: as many as fit the time.
            batch_size: images a step; None: from the number of images.
            input_size: side of what networks see, pixels; None: the images' own if small, else 224
                (128 from scratch).
            metric: what is made best: accuracy, f1_macro, balanced_accuracy, log_loss, roc_auc, ...
                or a callable ``(y (n,), probs (n, k)) -> float``.
            searcher: "random", "bayesian", "grid", or any object with `suggest` and `observe`.
            scheduler: "fifo", "asha", or any object with `handle`.
            executor: where trials run, instead of `num_workers`.
            num_workers: trials that run at once, each in a process of its own if more than one.
            tuning_data: labelled images to compare trials on; None: the data's val part, else a part
                that is held out.
            label: the label column of a table; None: found by name.
            image: the image column of a table; None: found by name.
            class_weight: "auto" (evens out classes if the largest is three times the smallest),
                "balanced", None, or a dict label -> weight in the loss.
            training: `TrainingOptions` or a dict of its fields (label_smoothing, mixup, ema_decay, ...).
            validation: `ValidationOptions` or a dict of its fields (fraction, folds).
            seed: fixes splits, search, initial weights, data order and augmentation.
            path: directory of the run, which can be resumed; None: a temporary one.
            resume: go on with the run at `path`.
            on_bad_image: "skip" and report unreadable images, or "raise".
            verbosity: 0 nothing, 1 plain lines, 2 live progress, 3 every report.
            callbacks: objects with hooks of `autodl.engine.callbacks`.
            **aliases: ``time_limits``, ``search_strategy``, ``preset``.

        Returns:
            A fitted `ImageClassifier`.

        Raises:
            DataError: the data cannot be used; its leaves say why (missing, empty, labels).
            OptionError: an argument has a value that is not allowed.
            RunExistsError: `path` holds a run and `resume` is not set.
            AllTrialsFailedError: no trial came to an end; it shows the first traceback.
        """
        params = {
            "time_limit": time_limit,
            "num_trials": num_trials,
            "presets": presets,
            "net": net,
            "nas": nas,
            "weights": weights,
            "optimizer": optimizer,
            "augment": augment,
            "epochs": epochs,
            "batch_size": batch_size,
            "input_size": input_size,
            "metric": metric,
            "searcher": searcher,
            "scheduler": scheduler,
            "executor": executor,
            "num_workers": num_workers,
            "class_weight": class_weight,
            "training": training,
            "validation": validation,
            "seed": seed,
            "path": path,
            "on_bad_image": on_bad_image,
            "verbosity": verbosity,
        }
        classifier = ImageClassifier(**_with_aliases(params, aliases))
        return classifier.fit(
            data,
            y,
            tuning_data=tuning_data,
            label=label,
            image=image,
            resume=resume,
            callbacks=callbacks,
        )

    @staticmethod
    def resume(path: str | Path, *, time_limit: str | float | None = None, **changes: Any) -> ImageClassifier:
        """Go on with an interrupted fit; see `ImageClassifier.resume`."""
        return ImageClassifier.resume(path, time_limit=time_limit, **changes)

    @staticmethod
    def load(path: str | Path, *, trust_code: bool = False, net: NetFactory | None = None) -> ImageClassifier:
        """Read a saved classifier; see `ImageClassifier.load`."""
        return ImageClassifier.load(path, trust_code=trust_code, net=net)


def _with_aliases(params: dict[str, Any], aliases: dict[str, Any]) -> dict[str, Any]:
    """The parameters, with values given under a name that means the same."""
    merged = dict(params)
    defaults = ImageClassifier().get_params(deep=False)
    for name, value in aliases.items():
        ours = ALIASES.get(name)
        if ours is None:
            known = ("data", "y", *params, "tuning_data", "label", "image", "resume", "callbacks")
            near = difflib.get_close_matches(name, known, 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise OptionError(f"fit takes no argument {name!r}{hint}; it takes: {', '.join(known)}")
        if params[ours] != defaults[ours]:
            raise OptionError(f"{name} and {ours} mean the same; give one of them")
        merged[ours] = value
    return merged
