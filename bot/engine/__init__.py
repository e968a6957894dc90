"""The decision engine: events in, one Decision a batch out. No IO, no clock."""
