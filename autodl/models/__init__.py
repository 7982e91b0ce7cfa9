"""Networks: built by name or wrapped, explained, exported, kept on disk."""

from __future__ import annotations

from autodl.models.classifier import Classifier, Preprocessing
from autodl.models.network import build_network, known_networks, pretrained_networks

__all__ = [
    "Classifier",
    "Preprocessing",
    "build_network",
    "known_networks",
    "pretrained_networks",
]
