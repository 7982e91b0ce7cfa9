"""Facade; public names follow."""
