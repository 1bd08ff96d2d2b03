"""From settings to a fitted model, once for ``fit`` and ``compare``."""
