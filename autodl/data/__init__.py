"""Images from any source: tables, the audit, the cache, labels and splits."""

from __future__ import annotations

from autodl.data.audit import AuditReport, ImageIssue
from autodl.data.cache import PixelCache, build_cache
from autodl.data.dataset import Dataset
from autodl.data.decoding import Decoded, decode
from autodl.data.labels import ClassMap, check_labels
from autodl.data.readers import read_images
from autodl.data.scan import probe_sizes
from autodl.data.split import stratified_folds, stratified_split
from autodl.data.table import Ignored, ImageItem, ImageTable, LazySource

__all__ = [
    "AuditReport",
    "ClassMap",
    "Dataset",
    "Decoded",
    "Ignored",
    "ImageIssue",
    "ImageItem",
    "ImageTable",
    "LazySource",
    "PixelCache",
    "build_cache",
    "check_labels",
    "decode",
    "probe_sizes",
    "read_images",
    "stratified_folds",
    "stratified_split",
]
