"""The panels of the page: pure functions from a scene to nodes."""
