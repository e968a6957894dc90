"""Comparing arms: the same signals sized by different rules, matched in risk, with intervals (models 17)."""
