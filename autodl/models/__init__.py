"""Networks: built by name or wrapped, explained, exported, kept on disk."""

from __future__ import annotations

from autodl.models.classifier import Backbone, Classifier, Preprocessing
from autodl.models.export import ExportReport, PixelsToProbabilities, export_network
from autodl.models.gradcam import grad_cam
from autodl.models.network import build_network, known_networks, pretrained_networks
from autodl.models.weights_io import load_weights, read_weights, save_weights
from autodl.models.wrap import wrap_module

__all__ = [
    "Backbone",
    "Classifier",
    "ExportReport",
    "PixelsToProbabilities",
    "Preprocessing",
    "build_network",
    "export_network",
    "grad_cam",
    "known_networks",
    "load_weights",
    "pretrained_networks",
    "read_weights",
    "save_weights",
    "wrap_module",
]
