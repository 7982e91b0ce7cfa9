"""Tasks: what a user fits. Real files live in ``tasks/``; the package is ``autodl.tasks``."""

if __name__ != "autodl.tasks":
    raise ImportError("import autodl.tasks, not tasks")
