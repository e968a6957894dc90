"""The kinds of worlds that the stateful machine draws: account, market, strategy, limits."""

from hypothesis import strategies as st
from trading_world import ON_CALL, Kind

kinds = st.builds(
    Kind,
    account_type=st.sampled_from(["hedged", "netted"]),
    deposit_currency=st.sampled_from(["USD", "JPY", "EUR"]),
    strategy=st.sampled_from([ON_CALL, ON_CALL, "constant", "liquidity-weighted", "composite", "market-making"]),
    scenario=st.sampled_from(["calm", "calm", "thin", "trending", "flash-crash", "rollover"]),
    speed=st.sampled_from([1 / 20, 1 / 5]),
    leverage=st.sampled_from([500, 30, 10]),
    margin_calculation=st.sampled_from(["MAX", "SUM", "NET"]),
    margin_mode=st.sampled_from(["recomputed", "fixed"]),
    commission_per_million=st.sampled_from([0, 30]),
    base_leverage=st.sampled_from([1.0, 3.0, 6.0]),
    sections=st.fixed_dictionaries(
        {
            "risk": st.fixed_dictionaries(
                {
                    "max_leverage": st.sampled_from([10, 4]),
                    "max_symbol_leverage": st.sampled_from([8, 2.5]),
                    "max_margin_use_frac": st.sampled_from([0.5, 0.15]),
                    "min_margin_level_frac": st.sampled_from([3.0, 1.2]),
                    "max_orders_per_minute": st.sampled_from([100, 20]),
                }
            ),
            "execution": st.fixed_dictionaries(
                {
                    "order_type": st.sampled_from(["market_range", "market", "limit"]),
                    "slicing": st.sampled_from(["none", "almgren-chriss"]),
                    "min_interval_s": st.sampled_from([0.25, 1.0]),
                    "stop_loss_bps": st.sampled_from([None, None, 200.0]),
                }
            ),
            "on_manual_close": st.sampled_from(["reopen", "reopen", "respect"]),
            "on_stop": st.sampled_from(["cancel", "keep"]),
            "manage": st.sampled_from(["own", "own", "all"]),
        }
    ),
    seed=st.integers(1, 5),
)
