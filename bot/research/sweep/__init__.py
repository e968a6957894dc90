"""A search over parameters: what may be tried, on which days, what was found, and whether it is more than luck."""
