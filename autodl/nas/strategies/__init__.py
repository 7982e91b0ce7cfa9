"""Search strategies, one file each, over the shared parts of `autodl.nas`."""

from __future__ import annotations
