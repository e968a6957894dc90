"""One page for people, and text for terminals, of what backtests found: `docs/report.md`."""
