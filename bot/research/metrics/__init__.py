"""What a run of an arm came to, how sure that is, and whether one arm beats another: `docs/metrics.md`."""
