"""Published architecture spaces, each in a size for small and for large images."""

from __future__ import annotations
