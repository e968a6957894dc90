"""Scripted liquidity shocks on a recorded market: what the book would show, and what a bot makes of it."""
