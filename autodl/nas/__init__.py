"""Neural architecture search: spaces of ordinary modules, and the methods that search them."""

from __future__ import annotations
