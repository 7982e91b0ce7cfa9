"""Third parties' searchers and schedulers, found by the entry points they declare.

A package offers ``mine`` with, in its ``pyproject.toml``::

    [project.entry-points."autodl.searchers"]
    mine = "my_package:MySearcher"
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from autodl.errors import OptionError, UnknownNameError


def look_up(kind: str, name: str, table: Mapping[str, Any], group: str | None = None) -> Any:
    """What `name` stands for: an entry of `table`, else of an entry point group.

    Args:
        kind: what is looked up, singular ("searcher").
        name: the name given by the user.
        table: autodl's own names; they win over a third party's.
        group: of entry points; None: ``autodl.<kind>s``.

    Raises:
        UnknownNameError: nobody offers the name; it lists those that exist.
        OptionError: a third party's entry point cannot be imported.
    """
    if name in table:
        return table[name]
    # Read only now: it opens the metadata of every installed distribution.
    offered = metadata.entry_points(group=group or f"autodl.{kind}s")
    if name not in offered.names:
        raise UnknownNameError(kind, name, (*table, *sorted(offered.names)))
    entry = offered[name]
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise OptionError(f"{kind} {name!r} is offered by {entry.value!r}, which fails: {error}") from error
