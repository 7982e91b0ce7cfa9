"""Shows docstrings on the site as they are meant: a griffe extension, named in mkdocs.yml.

griffe takes ``Examples:`` for code but ``Example:`` for a remark, and Markdown knows no ``::``.
"""

from __future__ import annotations

import re
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """Rewrites docstrings before they are parsed; the files stay as they are."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            text = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = re.sub(r"::$", ":", text, flags=re.MULTILINE)
