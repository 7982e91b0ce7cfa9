"""``python -m autodl.cli``: the same as the command ``autodl``."""

from __future__ import annotations

from autodl.cli.app import main

if __name__ == "__main__":
    main()
