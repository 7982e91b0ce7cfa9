"""Training: uint8 batches, augmentation, the loop, frozen features and heads, metrics, ensembles."""

from __future__ import annotations

from autodl.training.augmentation import (
    Augmentation,
    CentreCrop,
    Compose,
    PadCropFlip,
    RandomResizedCropFlip,
    Resize,
    TrivialAugment,
)
from autodl.training.batches import PixelBatches
from autodl.training.device import PrecisionPlan, cpu_threads, measure_precision, pick_device
from autodl.training.ensemble import greedy_ensemble
from autodl.training.evaluate import eval_batches, predict_probs
from autodl.training.loop import train_network
from autodl.training.metrics import Metric, confusion_matrix, get_metric, known_metrics
from autodl.training.options import CheckpointStore, EpochResult, TrainOptions, TrainResult
from autodl.training.preprocess import Preprocess

__all__ = [
    "Augmentation",
    "CentreCrop",
    "CheckpointStore",
    "Compose",
    "EpochResult",
    "Metric",
    "PadCropFlip",
    "PixelBatches",
    "PrecisionPlan",
    "Preprocess",
    "RandomResizedCropFlip",
    "Resize",
    "TrainOptions",
    "TrainResult",
    "TrivialAugment",
    "confusion_matrix",
    "cpu_threads",
    "eval_batches",
    "get_metric",
    "greedy_ensemble",
    "known_metrics",
    "measure_precision",
    "pick_device",
    "predict_probs",
    "train_network",
]
