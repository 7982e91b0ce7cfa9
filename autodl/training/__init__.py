"""Training: uint8 batches, augmentation, the loop, frozen features and heads, metrics, ensembles."""

from __future__ import annotations

from autodl.threads import cpu_threads
from autodl.training.augmentation import (
    Augmentation,
    CentreCrop,
    Compose,
    PadCropFlip,
    RandomResizedCropFlip,
    Resize,
)
from autodl.training.batches import PixelBatches
from autodl.training.device import PrecisionPlan, measure_precision, pick_device
from autodl.training.ensemble import greedy_ensemble
from autodl.training.evaluate import eval_batches, predict_probs
from autodl.training.features import FeatureTable, extract_features, feature_key, open_features
from autodl.training.heads import CrossValidatedHead, average_heads, cross_validate_head, tune_l2
from autodl.training.inference import inference_copy
from autodl.training.logistic import HeadOptions, LinearHead, train_head
from autodl.training.loop import train_network
from autodl.training.metrics import Metric, confusion_matrix, get_metric, known_metrics
from autodl.training.options import CheckpointStore, EpochResult, TrainOptions, TrainResult
from autodl.training.preprocess import Preprocess

__all__ = [
    "Augmentation",
    "CentreCrop",
    "CheckpointStore",
    "Compose",
    "CrossValidatedHead",
    "EpochResult",
    "FeatureTable",
    "HeadOptions",
    "LinearHead",
    "Metric",
    "PadCropFlip",
    "PixelBatches",
    "PrecisionPlan",
    "Preprocess",
    "RandomResizedCropFlip",
    "Resize",
    "TrainOptions",
    "TrainResult",
    "average_heads",
    "confusion_matrix",
    "cpu_threads",
    "cross_validate_head",
    "eval_batches",
    "extract_features",
    "feature_key",
    "get_metric",
    "greedy_ensemble",
    "inference_copy",
    "known_metrics",
    "measure_precision",
    "open_features",
    "pick_device",
    "predict_probs",
    "train_head",
    "train_network",
    "tune_l2",
]
