"""The report's section on augmentation: what was used, what was compared, pictures before and after."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import torch

from autodl.augment import BatchPolicy
from autodl.report import AugmentationUse, Table
from autodl.tasks.augment_choice import AUTO, FOUND, named_policy
from autodl.tasks.augment_record import AugmentRecord
from autodl.training import get_metric

if TYPE_CHECKING:
    from autodl.tasks.image_classifier import ImageClassifier

PICTURES = 4
"""Training images shown before and after."""

DPI = 110


def content(classifier: ImageClassifier) -> AugmentationUse:
    """The section for a fitted classifier."""
    record = classifier.augmentation_
    policy = shown_policy(classifier)
    return AugmentationUse(
        note=_note(record, policy),
        arms=_arms(record, get_metric(classifier.metric).name),
        op_weights={} if policy is None else policy.op_weights(),
        picture=b"" if policy is None else _picture(classifier, policy),
        picture_alt="Training images as they are, and as the policy changes them",
        policy="" if policy is None else policy.to_json(),
    )


def shown_policy(classifier: ImageClassifier) -> BatchPolicy | None:
    """The policy in use; else the one that was found but not used."""
    record, side = classifier.augmentation_, int(classifier.data_.pixels.shape[1])
    if isinstance(classifier.augment, BatchPolicy):
        return classifier.augment
    used = None if record.chosen is None else named_policy(record.chosen, side, record.policy)
    return record.policy if used is None else used


def _note(record: AugmentRecord, policy: BatchPolicy | None) -> str:
    if record.asked == AUTO:
        left_open = "" if record.chosen else " The augmentation was one of the hyper-parameters searched."
        not_used = policy is not None and policy is record.policy and record.chosen != FOUND
        unused = " The policy below was found for the data, but is not the one used." if not_used else ""
        return f"{record.note[:1].upper()}{record.note[1:]}.{left_open}{unused}"
    if record.asked == FOUND and record.policy is None:
        return f"{record.note[:1].upper()}{record.note[1:]}."
    if record.asked == FOUND:
        return f"The policy was searched for the data: {record.note}."
    if policy is not None:
        return f"{policy!r:.200}, as asked for."
    return f"As asked for: {'an augmentation of your own' if record.asked == 'own' else record.asked}."


def _arms(record: AugmentRecord, metric: str) -> Table | None:
    if not record.arms:
        return None
    rows = tuple((arm.name, arm.score, arm.log_loss) for arm in record.arms)
    return Table(("augmentation", metric, "log loss"), rows)


def _picture(classifier: ImageClassifier, policy: BatchPolicy) -> bytes:
    """A PNG file."""
    data = classifier.data_
    rows = data.training_rows()
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, PICTURES).astype(int))]
    images = torch.from_numpy(np.take(data.pixels, chosen, axis=0)).permute(0, 3, 1, 2)
    buffer = io.BytesIO()
    policy.show(images.contiguous()).savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
