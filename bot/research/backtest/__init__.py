"""Backtests: a recording through the same session and engine as live, against the same venue, on a virtual clock."""
