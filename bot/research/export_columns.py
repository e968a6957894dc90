"""The columns of an export: name, type, unit and meaning of each, table by table. `docs/export.md` says the same.

Missing: NaN in figures of the market and of leverage, as in the engine; null in what is told of orders and deals.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from bot.market.feature_table import FIELDS

QUOTES, BOOK, FEATURES, DECISIONS, ORDERS, DEALS = TABLES = (
    "quotes", "book", "features", "decisions", "orders", "deals",
)  # fmt: skip
LEVELS = 20
MONEY = pa.decimal128(38, 10)
TIME = pa.timestamp("ns", "UTC")
_TEXT, _WHOLE, _FLOAT, _YES = pa.string(), pa.int64(), pa.float64(), pa.bool_()

REFUSAL = pa.struct([("check", _TEXT), ("value", _FLOAT), ("limit", _FLOAT), ("reason", _TEXT)])


class Column(NamedTuple):
    """One column. `unit` is empty for text, names and numbers that count or identify."""

    name: str
    kind: pa.DataType
    unit: str
    meaning: str


_SYMBOL = Column("symbol", _TEXT, "", "the broker's name")
_NUMBER = Column("number", _WHOLE, "", "which decision of the run it is, from 1 on, as `replay` counts")
_DECIDED = Column("time", TIME, "UTC", "when it was decided: our clock")

_QUOTES = (
    Column("ts_us", _WHOLE, "us", "when it was received: UTC since the epoch, our clock"),
    Column("bid", _FLOAT, "price", "best bid of the spot stream"),
    Column("ask", _FLOAT, "price", "best ask of the spot stream"),
)
_BOOK = (
    Column("seq", _WHOLE, "", "number of the row, from 0 on"),
    Column("ts_recv_ns", _WHOLE, "ns", "when the message was received: UTC since the epoch, our clock"),
    Column("ts_exch_ms", _WHOLE, "ms", "-1: the venue does not say when"),
    *(
        Column(f"{side}{what}{level}", _FLOAT, unit, f"{meaning}; NaN where there are fewer levels")
        for side, name in (("b", "bid"), ("a", "ask"))
        for what, unit, meaning in (
            ("p", "price", f"{name} prices, best first"),
            ("q", "base units", f"sizes at the {name} prices"),
        )
        for level in range(LEVELS)
    ),
)

_FIGURES = (
    Column("mid", _FLOAT, "price", "(bid + ask) / 2 of the spot stream"),
    Column("spread_bps", _FLOAT, "bps", "quoted spread over mid, negative when crossed"),
    Column("bid_depth_units", _FLOAT, "base units", "size near the touch on the bid side"),
    Column("ask_depth_units", _FLOAT, "base units", "the same on the ask side"),
    Column("weighted_mid", _FLOAT, "price", "size-weighted mid of the book"),
    Column("obi", _FLOAT, "-1 to 1", "order-book imbalance"),
    Column("ofi", _FLOAT, "usual touch sizes", "order-flow imbalance"),
    Column("impact_bps", _FLOAT, "bps", "estimated impact of the base leverage on the side we would leave by"),
    Column("fill_frac", _FLOAT, "0 to 1", "share of what we ask for that fills"),
    Column("liquidity_ratio", _FLOAT, "ratio", "liquidity over usual"),
)
FIGURE_NAMES = tuple(column.name for column in _FIGURES)
_LEVERAGE = (
    Column("crisis_level", pa.int8(), "0 to 3", "null: unknown"),
    Column("leverage_now", _FLOAT, "equities", "what is held, signed"),
    Column("leverage_goal", _FLOAT, "equities", "what the strategy wants, capped and cut by a crisis"),
    Column("leverage_target", _FLOAT, "equities", "what may be traded to now"),
    Column("bound", _TEXT, "", "what keeps the target from the wish, as `explain --json` names it; null: nothing"),
    Column("cap", _FLOAT, "equities", "the tightest cap; infinite: none"),
    Column("cap_bound", _TEXT, "", "which cap that is; null: none"),
)
_STATE = (
    Column("refusals", pa.list_(REFUSAL), "", "what the risk gate refused here: check, value, limit, reason"),
    Column("ready", _YES, "", "whether the run was READY; null before it has said"),
    Column("trading", _TEXT, "", "active, reducing or halted"),
    Column("reasons", pa.list_(_TEXT), "", "what stood in the way, as the `state` line names it"),
)
_ORDERS = (
    Column("action", _TEXT, "", "open, increase, reduce, close, place, amend or cancel"),
    Column("side", _TEXT, "", "buy or sell, of the trade"),
    Column("volume_cents", _WHOLE, "0.01 base unit", "of the order"),
    Column("lots", _FLOAT, "lots", "the same"),
    Column("order_type", _TEXT, "", "market, market_range, limit or stop"),
    Column("position_id", _WHOLE, "", "the position it concerns"),
    Column("order_id", _WHOLE, "", "the venue's"),
    Column("client_order_id", _TEXT, "", "ours"),
    Column("leverage_now", _FLOAT, "equities", "when it was planned"),
    Column("leverage_target", _FLOAT, "equities", "when it was planned"),
    Column("reason", _TEXT, "", "why it was planned"),
    Column("predicted_slippage_bps", _FLOAT, "bps", "cost against mid that was expected, positive against us"),
    Column("margin_before", MONEY, "deposit currency", "used margin when it was planned"),
    Column("margin_after", MONEY, "deposit currency", "used margin that was expected of it"),
    Column("margin_level_after", _FLOAT, "ratio", "equity over used margin that was expected of it"),
    Column("state", _TEXT, "", "what it has become: sent, accepted, filled …"),
    Column("error_code", _TEXT, "", "the venue's, of a refusal"),
    Column("paper", _YES, "", "whether it is an order of a dry run"),
    Column("executed_cents", _WHOLE, "0.01 base unit", "what has filled so far"),
    Column("execution_price", _FLOAT, "price", "at which"),
)
_DEALS = (
    Column("executed", TIME, "UTC", "when it was executed: the venue's clock"),
    Column("deal_id", _WHOLE, "", "the venue's"),
    Column("order_id", _WHOLE, "", "the venue's"),
    Column("position_id", _WHOLE, "", "the position it moved"),
    Column("client_order_id", _TEXT, "", "ours; null: not an order of ours, or not known"),
    Column("cause", _TEXT, "", "ours, manual, stop_out, protection or unknown"),
    Column("is_own", _YES, "", "whether the position it moved is ours"),
    Column("paper", _YES, "", "whether it was filled on paper"),
    Column("side", _TEXT, "", "buy or sell, of the trade"),
    Column("volume_cents", _WHOLE, "0.01 base unit", "what was traded"),
    Column("closed_volume_cents", _WHOLE, "0.01 base unit", "what of it closed something"),
    Column("price", _FLOAT, "price", "at which"),
    Column("commission", MONEY, "deposit currency", "of the deal, negative: a cost"),
    Column("gross_profit", MONEY, "deposit currency", "of what it closed, before costs; null: it closed nothing"),
    Column("swap", MONEY, "deposit currency", "of what it closed"),
    Column("close_commission", MONEY, "deposit currency", "of what it closed"),
    Column("balance", MONEY, "deposit currency", "afterwards; null: it closed nothing"),
    Column("decision_mid", _FLOAT, "price", "mid at which its order was decided; null: not known"),
    Column("predicted_slippage_bps", _FLOAT, "bps", "cost against that mid that was expected"),
    Column("realised_slippage_bps", _FLOAT, "bps", "cost against that mid that came, positive against us"),
)

_UNITS_BY_ENDING = {"_bps": "bps", "_units": "base units", "_s": "s", "_slope": "base units per bps"}
_UNITS = {
    **dict.fromkeys(("bid", "ask", "mid", "depth_bid", "depth_ask", "depth_distance", "weighted_mid"), "price"),
    **dict.fromkeys(("obi", "obi_fast", "obi_slow", "revision_flow"), "-1 to 1"),
    **dict.fromkeys(("volatility_bps", "slow_volatility_bps", "usual_volatility_bps"), "bps per root second"),
    **dict.fromkeys(("is_current", "is_depth_seen", "is_spot_only"), "0 or 1"),
    "obi_z": "deviations",
    "ofi": "usual touch sizes",
    "ofi_weighted": "usual weighted depths",
    "lambda_bps_per_unit": "bps per base unit",
    "liquidity_ratio": "ratio",
    "fill_frac": "0 to 1",
    "fill_factor": "0.25 to 1",
    "crisis_score": "0 to 1",
    "crisis_level": "0 to 3",
}


def _unit(feature: str) -> str:
    if feature in _UNITS:
        return _UNITS[feature]
    return next(unit for ending, unit in _UNITS_BY_ENDING.items() if feature.endswith(ending))


def factor_column(name: str) -> Column:
    """Return the column of one factor of the strategy."""
    return Column(f"factor_{name}", _FLOAT, "ratio", f"factor {name} of the leverage; NaN: unknown")


def columns_of(table: str, *, factor_names: Sequence[str] = (), with_symbol: bool = True) -> tuple[Column, ...]:
    """Return the columns of a table in their order.

    Args: `factor_names` of the run's strategy; `with_symbol` False for quotes and a book of one symbol, whose name is
        in the file's metadata: the layouts of recordings have no such column.
    """
    market_symbol = (_SYMBOL,) if with_symbol else ()
    if table == QUOTES:
        return (_QUOTES[0], *market_symbol, *_QUOTES[1:])
    if table == BOOK:
        return (*_BOOK[:3], *market_symbol, *_BOOK[3:])
    if table == FEATURES:
        features = (Column(name, _FLOAT, _unit(name), meaning) for name, meaning in FIELDS)
        return (_NUMBER, _DECIDED, _SYMBOL, *features)
    if table == DECISIONS:
        symbol = _SYMBOL._replace(meaning="the broker's name; null: the whole account")
        return (_NUMBER, _DECIDED, symbol, *_FIGURES, *_LEVERAGE, *map(factor_column, factor_names), *_STATE)
    return (_NUMBER, _DECIDED, _SYMBOL, *(_ORDERS if table == ORDERS else _DEALS))


def schema_of(columns: Sequence[Column], facts: Mapping[str, str]) -> pa.Schema:
    """Return the schema of columns, each with its unit and meaning; `facts` are the file's metadata."""
    return pa.schema(
        [
            pa.field(column.name, column.kind, metadata={"unit": column.unit, "meaning": column.meaning})
            for column in columns
        ],
        metadata=dict(facts),
    )
