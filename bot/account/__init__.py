"""What we hold and what we may hold: positions, equity, margin, and the risk gate."""
