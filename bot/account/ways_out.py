"""What a person can change about an increase that is refused: the end of a refusal's reason, by check."""

WAYS_OUT = {
    "max_leverage": "lower strategy.base_leverage, or raise risk.max_leverage",
    "max_symbol_leverage": "lower the symbol's weight, or raise risk.max_symbol_leverage",
    "margin_use": "lower strategy.base_leverage, or raise risk.max_margin_use_frac",
    "margin_level": "lower strategy.base_leverage, or lower risk.min_margin_level_frac",
    "stop_out_distance": "hold less in all symbols together: lower strategy.base_leverage or the weights",
    "exit_cost": "the book is too thin, or the spread too wide, for a position of this size; it grows with the book",
    "volume_limits": "lower the symbol's weight; the limit is the broker's",
    "expected_margin": "the broker is being asked for the margin of larger orders",
}
