"""Batched augmentation: ops, policies, and the search for the policy that the data needs."""

from __future__ import annotations
