"""Tasks: what a user fits. The real files lie in ``tasks/``; the package is ``autodl.tasks``."""

if __name__ != "autodl.tasks":
    raise ImportError("import autodl.tasks, not tasks")

from autodl.tasks.arch_options import NASOptions
from autodl.tasks.image_classification import ImageClassification
from autodl.tasks.image_classifier import ImageClassifier
from autodl.tasks.options import TrainingOptions, ValidationOptions

__all__ = [
    "ImageClassification",
    "ImageClassifier",
    "NASOptions",
    "TrainingOptions",
    "ValidationOptions",
]
