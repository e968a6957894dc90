"""Faults of a real broker, played by the embedded venue: what to play, and the stage that plays it."""
