"""Leverage models, one file each. A user's own file works the same way: docs/strategies.md."""

from strategies.loading import BUILT_IN, load

__all__ = ["BUILT_IN", "load"]
