"""The HTML report of a fitted `ImageClassifier`: the search, the data, the mistakes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autodl.data import AuditReport
from autodl.errors import OptionError
from autodl.report import (
    Audit,
    AuditIssue,
    Confusion,
    Fact,
    Mistake,
    content_from_run,
    thumbnail,
    write_report,
)
from autodl.tasks import arch_report, augment_report
from autodl.training import confusion_matrix, get_metric

if TYPE_CHECKING:
    from autodl.tasks.image_classifier import ImageClassifier

MOST_MISTAKES = 30
MOST_CLASSES_IN_MATRIX = 200


def write(classifier: ImageClassifier, path: Path) -> Path:
    """Write the report.

    Raises:
        OptionError: the classifier was loaded, so that its trials and images are not there.
    """
    classifier._check_fitted()
    if not hasattr(classifier, "result_"):
        raise OptionError(
            "a loaded classifier has no trials and images to report on; write the report before saving"
        )
    data, selection, result = classifier.data_, classifier.selection_, classifier.result_
    labels = data.labels[selection.rows]
    accuracy = get_metric("accuracy")(labels, selection.probs)
    metric = get_metric(classifier.metric)
    origin = str(data.facts.get("origin", ""))
    content = content_from_run(
        result, title="Image classification", subtitle=f"{len(data.labels):,} images from {origin}"
    )
    held_out = f"{len(selection.rows):,} held-out images"
    facts = [Fact("Classes", str(data.num_classes))]
    if metric.name != "accuracy":
        facts.insert(0, Fact("Accuracy", f"{accuracy:.4f}", held_out))
    total, mistakes = _mistakes(classifier)
    content = replace(
        content,
        headline=Fact(f"Validation {metric.name}", f"{selection.value:.4f}", held_out),
        facts=(*facts, *content.facts),
        notes=_notes(data.audit),
        confusion=_confusion(classifier),
        mistakes=mistakes,
        mistakes_total=total,
        architecture=arch_report.content(classifier),
        augmentation=augment_report.content(classifier),
        audit=_audit(data.audit, data.class_map.names),
        config_note=f"{content.config_note} {_ensemble(classifier)}".strip(),
        reload_code=_RELOAD,
    )
    return write_report(content, path)


_RELOAD = """from autodl import ImageClassification

classifier = ImageClassification.load("model.autodl")  # after classifier.save("model.autodl")
classifier.predict("a.jpg")
classifier.predict_proba("folder of images")"""


def _confusion(classifier: ImageClassifier) -> Confusion | None:
    data, selection = classifier.data_, classifier.selection_
    if data.num_classes > MOST_CLASSES_IN_MATRIX:
        return None
    counts = confusion_matrix(data.labels[selection.rows], selection.probs)
    return Confusion(
        data.class_map.names,
        tuple(tuple(int(n) for n in row) for row in counts),
        f"{len(selection.rows):,} held-out images",
    )


def _mistakes(classifier: ImageClassifier) -> tuple[int, tuple[Mistake, ...]]:
    """How many held-out images are classified wrongly, and the most confident of them."""
    data, selection = classifier.data_, classifier.selection_
    truth, guess = data.labels[selection.rows], selection.probs.argmax(axis=1)
    confidence = selection.probs.max(axis=1)
    wrong = np.flatnonzero(truth != guess)
    names = data.class_map.names
    found = []
    for i in wrong[np.argsort(-confidence[wrong], kind="stable")][:MOST_MISTAKES]:
        row = int(selection.rows[i])
        found.append(
            Mistake(
                image=thumbnail(np.asarray(data.pixels[row])),
                true=names[truth[i]],
                predicted=names[guess[i]],
                confidence=float(confidence[i]),
                name=data.names[row],
            )
        )
    return len(wrong), tuple(found)


def _audit(audit: AuditReport, names: tuple[str, ...]) -> Audit:
    skipped = audit.total - len(audit.kept)
    facts = (
        Fact("Images", f"{audit.total:,}"),
        Fact("Used", f"{len(audit.kept):,}"),
        Fact("Left out", f"{skipped:,}"),
    )
    issues = tuple(AuditIssue(i.name, i.kind, i.action, i.detail) for i in audit.issues)
    return Audit(facts, issues, dict(audit.class_counts))


def _notes(audit: AuditReport) -> tuple[str, ...]:
    """What must be known first."""
    notes = []
    skipped = audit.total - len(audit.kept)
    if skipped:
        notes.append(f"{skipped:,} of {audit.total:,} images were left out; see the data audit below.")
    return tuple(notes)


def _ensemble(classifier: ImageClassifier) -> str:
    members = classifier.history_["ensemble"]
    if len(members) == 1:
        return f"Trial {members[0]['trial_id']} predicts alone ({members[0]['network']})."
    parts = ", ".join(f"trial {m['trial_id']} ({m['network']}, {m['weight']:.0%})" for m in members)
    return f"The predictor is an ensemble of {parts}."
