"""How much is wanted: strategies, the rules around them, and the volume that follows."""
