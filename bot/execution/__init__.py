"""How we get there: requests from an approved target, orders in flight, and the paper venue of a dry run."""
