"""Studies over recordings: what the formulas measure, how well they predict, and what that is worth."""
