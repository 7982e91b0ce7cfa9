"""The end of a fit: from what trials left behind to the network that predicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autodl.errors import AllTrialsFailedError
from autodl.models import Classifier, build_network
from autodl.tasks.ensemble_network import Branch, BranchSpec, EnsembleNetwork, empty_head
from autodl.tasks.member import Member, load_state
from autodl.tasks.run_data import RunData
from autodl.training import Metric, greedy_ensemble

MOST_CANDIDATES = 30
"""Best members that the greedy selection chooses from: bounds its time."""

FEWEST_SHARED = 0.5
"""Of the rows of fold 0 that any member was judged on, each must be judged on at least this part, and all
together: a head on features that were cut short by the clock may be perfect on the five rows it saw."""

BodyBuilder = Callable[[Member], Classifier]


@dataclass(frozen=True)
class Selection:
    """Which members predict together.

    Attributes:
        members: the chosen ones.
        weights: their shares, adding up to 1.
        rows: rows of the run's data on which all were judged.
        probs: (len(rows), k) the ensemble's probabilities for these rows.
        value: the metric on them.
        best_single: the metric of the best single member on them.
    """

    members: tuple[Member, ...]
    weights: tuple[float, ...]
    rows: NDArray[np.int64]
    probs: NDArray[np.float32]
    value: float
    best_single: float


def select(
    members: Sequence[Member], data: RunData, metric: Metric, *, errors: Sequence[str] = ()
) -> Selection:
    """Greedy ensemble over the members' held-out predictions, or the best one if that is as good.

    Args:
        members: the candidates.
        data: the right labels.
        metric: what to make best.
        errors: of trials that failed, for the message.

    Raises:
        AllTrialsFailedError: there is no member.
    """
    if not members:
        why = f"the first error:\n{errors[0]}" if errors else "give a longer time_limit"
        raise AllTrialsFailedError(f"no trial came far enough to leave a network behind; {why}")
    enough = FEWEST_SHARED * max(_coverage(m.rows, data) for m in members)
    ranked = _ranked([m for m in members if _coverage(m.rows, data) >= enough], data, metric)
    candidates, rows = _comparable(ranked[:MOST_CANDIDATES], data, enough)
    probs = [m.probs[np.searchsorted(m.rows, rows)] for m in candidates]
    labels = data.labels[rows]
    values = [metric(labels, p) for p in probs]
    best = 0
    for i, value in enumerate(values):
        if metric.better(value, than=values[best]):
            best = i
    weights = greedy_ensemble(probs, labels, metric)
    mixed = np.average(probs, axis=0, weights=weights).astype(np.float32)
    value = metric(labels, mixed)
    if len(candidates) > 1 and not metric.better(value, than=values[best]) and weights.max() < 1:
        # As good alone: predicting with one network is faster.
        weights = np.eye(len(candidates))[best]
        mixed, value = probs[best], values[best]
    chosen = [i for i in range(len(candidates)) if weights[i] > 0]
    return Selection(
        members=tuple(candidates[i] for i in chosen),
        weights=tuple(float(weights[i]) for i in chosen),
        rows=rows,
        probs=mixed,
        value=value,
        best_single=values[best],
    )


def _ranked(members: Sequence[Member], data: RunData, metric: Metric) -> list[Member]:
    """Best first; a metric without a value (NaN) comes last, earlier trials first among equals."""
    sign = 1.0 if metric.mode == "min" else -1.0

    def key(member: Member) -> tuple[float, int]:
        value = sign * metric(data.labels[member.rows], member.probs)
        return (np.inf if np.isnan(value) else value), member.trial_id

    return sorted(members, key=key)


def _coverage(rows: NDArray[np.int64], data: RunData) -> int:
    """How many of the rows that every trial should be judged on are among these."""
    return int((data.folds[rows] == 0).sum())


def _comparable(
    ranked: Sequence[Member], data: RunData, enough: float
) -> tuple[list[Member], NDArray[np.int64]]:
    """The members that share enough judged rows with the better ones, and the rows all of them share."""
    kept, rows = [ranked[0]], ranked[0].rows
    for member in ranked[1:]:
        shared = np.intersect1d(rows, member.rows, assume_unique=True)
        if _coverage(shared, data) >= enough:
            kept.append(member)
            rows = shared
    return kept, rows


def assemble(
    selection: Selection, trial_dir: Callable[[int], Path], user_body: BodyBuilder, weights: str | Path | None
) -> EnsembleNetwork:
    """The network of a selection, with the weights that its trials kept.

    Args:
        selection: who predicts, with what share.
        trial_dir: where a trial left its files.
        user_body: builds a user's own network for a member.
        weights: what frozen backbones are loaded with.
    """
    branches = []
    for group in _groups(selection):
        first = group[0][0]
        spec = BranchSpec(
            network=first.network,
            frozen=first.frozen,
            flip=first.flip,
            trial_ids=tuple(member.trial_id for member, _ in group),
            weights=tuple(weight for _, weight in group),
        )
        heads = []
        if first.frozen:
            size = first.network.preprocessing.input_size
            body = build_network(
                first.network.name, first.network.num_classes, input_size=size, weights=weights, seed=0
            )
            for member, _ in group:
                head = empty_head(body.feature_dim, first.network.num_classes)
                head.load_state_dict(load_state(trial_dir(member.trial_id)))
                heads.append(head)
        else:
            body = user_body(first)
            body.load_state_dict(load_state(trial_dir(first.trial_id)))
        branches.append(Branch(spec, body, heads))
    return EnsembleNetwork(branches).eval()


def _groups(selection: Selection) -> list[list[tuple[Member, float]]]:
    """Members that share one frozen backbone and its views go together; others stand alone."""
    groups: dict[object, list[tuple[Member, float]]] = {}
    for member, weight in zip(selection.members, selection.weights, strict=True):
        key = (member.network.name, member.flip) if member.frozen else member.trial_id
        groups.setdefault(key, []).append((member, weight))
    return list(groups.values())
