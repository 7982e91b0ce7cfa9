"""The search for the policy that the data needs: `search_policy` and its two methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from autodl.augment.bank_search import BankMethod
from autodl.augment.fast_aa import FastAAMethod
from autodl.augment.fold_jobs import FoldMethod, SearchTask, run_search
from autodl.augment.folds import Split, make_splits
from autodl.augment.search_data import as_search_data
from autodl.augment.search_result import PolicySearchResult
from autodl.augment.theta import NetFactory, ThetaOptions
from autodl.checks import check_whole
from autodl.errors import OptionError, UnknownNameError
from autodl.executors.protocol import Executor
from autodl.timelimit import parse_time_limit

METHODS: dict[str, Callable[..., FoldMethod]] = {"bank": BankMethod, "fast_aa": FastAAMethod}


def search_policy(  # noqa: PLR0913  # facade: the data, the method, and how it may run
    images: Any,
    labels: Any,
    *,
    method: str = "bank",
    net: NetFactory | None = None,
    folds: int | Sequence[Split] = 5,
    search_share: float = 0.4,
    theta: ThetaOptions | None = None,
    time_limit_s: str | float | timedelta | None = None,
    seed: int = 0,
    num_workers: int = 1,
    executor: Executor | None = None,
    **options: Any,
) -> PolicySearchResult:
    """Search an augmentation policy for images.

    For each fold a network (theta) is trained without a policy on one part of the images, D_M; then
    policies are searched under which it recognises the other part, D_A.

    Args:
        images: (n, c, h, w) uint8 tensor or array, c = 1 or 3. A few thousand are enough.
        labels: (n,) class of each image.
        method: "bank" (each op once over D_A, policies by closed form: a sixth of the forward passes,
            and it finds planted shifts that trials miss) or "fast_aa" (Fast AutoAugment as published).
        net: number of classes to a network that takes normalised images; None: a small residual one.
        folds: how many random splits, or splits of your own: with images in D_A that look as those in
            use will (another camera, another time), the policy is one that bridges the difference.
        search_share: D_A's share of random splits.
        theta: how theta is trained.
        time_limit_s: seconds, or a text such as "2m"; what was found by then is returned.
        seed: same seed, same policy, for any number of workers (without a time limit).
        num_workers: folds that run at once, each on one CPU thread.
        executor: where folds run, instead of `num_workers`.
        options: the method's own; see `bank_search` and `fast_autoaugment`.

    Returns:
        The policy, op weights, cost and records.

    Raises:
        DataError: images are not (n, c, h, w) uint8.
        LabelError: one class only, a class with fewer than 4 images, or other than n labels.
        OptionError: an argument is not allowed.
        TrialError: the network does not fit, or there was no time for a single fold.

    Example::

        result = search_policy(images, labels, num_workers=2, time_limit_s="2m")
        print(result.summary())
        batch = result.policy(batch, torch.Generator().manual_seed(0))
    """
    if method not in METHODS:
        raise UnknownNameError("policy search method", method, tuple(METHODS))
    if net is not None and not callable(net):
        raise OptionError(f"net must be a function of the number of classes, or None; got {net!r}")
    check_whole("seed", seed, 0)
    try:
        made = METHODS[method](**options)
    except TypeError as error:
        raise OptionError(f"method {method!r} has no such option: {error}") from error
    data = as_search_data(images, labels)
    task = SearchTask(
        data,
        make_splits(folds, data.labels, search_share=search_share, seed=seed),
        made,
        net,
        theta or ThetaOptions(),
        seed,
    )
    limit = parse_time_limit(time_limit_s)
    return run_search(task, executor=executor, num_workers=num_workers, time_limit_s=limit)


def bank_search(
    images: Any, labels: Any, *, num_sub_policies: int = 10, use_pairs: bool = True, **options: Any
) -> PolicySearchResult:
    """Our search: every op at every strength once over D_A, then policies by closed form.

    Args:
        images: as for `search_policy`.
        labels: as for `search_policy`.
        num_sub_policies: chosen on each fold.
        use_pairs: look at sub-policies of two ops as well.
        options: all others of `search_policy`.
    """
    return search_policy(
        images, labels, method="bank", num_sub_policies=num_sub_policies, use_pairs=use_pairs, **options
    )


def fast_autoaugment(images: Any, labels: Any, *, trials: int = 200, **options: Any) -> PolicySearchResult:
    """Fast AutoAugment as published, with any of autodl's searchers.

    Args:
        images: as for `search_policy`.
        labels: as for `search_policy`.
        trials: policies scored on each fold.
        options: ``top``, ``draws``, ``reward``, ``searcher`` (see `autodl.augment.fast_aa`), and all
            others of `search_policy`.
    """
    return search_policy(images, labels, method="fast_aa", trials=trials, **options)
