"""A day's report for a person: plain columns that fit 80 characters."""

import textwrap
from collections import defaultdict
from typing import Any

_WIDTH = 80
_INDENT = 12
_MOST_LISTED = 20
_DEAL_HEADINGS = ("deals", "count", "lots", "volume", "commission", "swap", "profit", "realised")


def in_words(figures: dict[str, Any]) -> str:
    """Return a report (`bot.journal.day_report`) as lines of text."""
    if _is_empty(figures):
        more = (
            ""
            if figures["first_day"] is None
            else " of that time; `microlev report CONFIG --all` has all that it holds"
        )
        return "\n".join([*_head(figures), "", f"the ledger has nothing{more}"])
    blocks = [_head(figures), _account(figures), _orders(figures), _deals(figures), _costs(figures)]
    blocks += [_by_others(figures), _refusals(figures), _notices(figures)]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _is_empty(figures: dict[str, Any]) -> bool:
    """Tell whether nothing at all is known: then a page of `unknown` would say less than one line."""
    is_sampled = figures["equity"]["open"] is not None or figures["equity"]["balance_open"] is not None
    counts = figures["deals"]["count"] + figures["foreign"]["count"]
    return not (is_sampled or counts or figures["orders"] or figures["refusals"] or figures["notices"])


def _head(figures: dict[str, Any]) -> list[str]:
    account = "unknown" if figures["account_id"] is None else str(figures["account_id"])
    if figures["first_day"] is None:
        days = "everything in the ledger"
    elif figures["first_day"] == figures["last_day"]:
        days = figures["first_day"]
    else:
        days = f"{figures['first_day']} to {figures['last_day']}"
    lines = [f"account {account}, {days}, money in {figures['deposit_currency'] or 'deposit currency'}"]
    if figures["from"] is not None:
        lines.append(f"from {_minute(figures['from'])} to {_minute(figures['to'])} (17:00 in New York)")
    return lines


def _account(figures: dict[str, Any]) -> list[str]:
    equity, margin = figures["equity"], figures["margin"]
    of_equity = ", ".join(f"{name} {_money(equity[name])}" for name in ("open", "low", "high", "close"))
    of_balance = f"open {_money(equity['balance_open'])}, close {_money(equity['balance_close'])}"
    use = (
        f"used {_percent(margin['mean_use_frac'])} of equity on average, {_percent(margin['highest_use_frac'])} at most"
    )
    level = "" if margin["lowest_level"] is None else f"; lowest level {margin['lowest_level']:,.2f}"
    return [_line("equity", of_equity), _line("balance", of_balance), _line("margin", use + level)]


def _orders(figures: dict[str, Any]) -> list[str]:
    outcomes: dict[str, list[str]] = defaultdict(list)
    for row in figures["orders"]:
        outcomes[row["action"]].append(f"{row['count']} {row['outcome'].replace('_', ' ')}")
    lines = [
        _line("orders" if i == 0 else "", f"{action}: {', '.join(o)}") for i, (action, o) in enumerate(outcomes.items())
    ]
    ratio, latency = figures["fill_ratio"], figures["latency_s"]
    if ratio["count"]:
        text = (
            f"{_percent(ratio['mean_frac'])} on average, {_percent(ratio['lowest_frac'])} at least, of {ratio['count']}"
        )
        lines.append(_line("filled", text))
    if latency["count"]:
        text = f"after {latency['median']:.3f} s (median), {latency['worst']:.3f} s at most, at the market"
        lines.append(_line("", text))
    return lines or [_line("orders", "none")]


def _deals(figures: dict[str, Any]) -> list[str]:
    rows = [_DEAL_HEADINGS]
    rows += [_deal_row(row["symbol"], row) for row in figures["symbols"]]
    rows.append(_deal_row("all of ours", figures["deals"]))
    if figures["foreign"]["count"]:
        rows.append(_deal_row("others'", figures["foreign"]))
    widths = [max(len(row[i]) for row in rows) for i in range(len(_DEAL_HEADINGS))]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _deal_row(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    volume = "unknown" if row["volume"] is None else f"{row['volume']:,.0f}"
    money = (_money(row[key]) for key in ("commission", "swap", "gross_profit", "realised_profit"))
    return (name, str(row["count"]), f"{row['lots']:,.2f}", volume, *money)


def _costs(figures: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, title in (("against_mid", "against the mid"), ("against_prediction", "against predicted")):
        cost = figures["slippage"][name]
        if cost["count"]:
            text = f"{title} {_bps(cost['mean_bps'])} bps, by volume {_bps(cost['weighted_bps'])}, worst "
            lines.append(_line("" if lines else "slippage", f"{text}{_bps(cost['worst_bps'])} ({cost['count']})"))
    for row in figures["mark_outs"]:
        if row["count"] or row["missing"]:
            missing = f", {row['missing']} missing" if row["missing"] else ""
            text = "not seen"
            if row["count"]:
                costs = _bps(row["realised_weighted_bps"]), _bps(row["impact_weighted_bps"])
                text = f"cost {costs[0]} bps, impact {costs[1]} by volume"
            lines.append(_line(f"after {row['delay_s']} s", f"{text} ({row['count']}{missing})"))
    return lines


def _by_others(figures: dict[str, Any]) -> list[str]:
    deals = figures["by_others"]
    if not deals:
        return []
    lines = ["not our doing"]
    for deal in deals[-_MOST_LISTED:]:
        lots = "" if deal["lots"] is None else f"{deal['lots']:,.2f} "
        whose = "ours" if deal["is_own"] else "not ours"
        cause = deal["cause"].replace("_", " ")
        profit = "" if deal["realised_profit"] is None else f", {_money(deal['realised_profit'])}"
        what = f"{deal['side']} {lots}{deal['symbol']} at {deal['price']:.10g}"
        line = f"{_minute(deal['time'])}  {what}: {cause}, position {deal['position_id']} ({whose}){profit}"
        lines.append(textwrap.fill(line, _WIDTH, initial_indent="  ", subsequent_indent="    "))
    if len(deals) > _MOST_LISTED:
        lines.append(f"  and {len(deals) - _MOST_LISTED} before these; --csv has them all")
    return lines


def _refusals(figures: dict[str, Any]) -> list[str]:
    rows = ((row["check"], row["count"], row["last_symbol"], row["last_reason"]) for row in figures["refusals"])
    return _counted("refused", rows)


def _notices(figures: dict[str, Any]) -> list[str]:
    rows = ((row["code"], row["count"], row["last_symbol"], row["last_text"]) for row in figures["notices"])
    return _counted("notices", rows)


def _counted(title: str, rows: Any) -> list[str]:
    lines = []
    for name, count, symbol, text in rows:
        where = f" {symbol}" if symbol not in (None, "*") else ""
        lines += textwrap.wrap(
            f"{name} {count}x, last{where}: {text}", _WIDTH, initial_indent="  ", subsequent_indent="    "
        )
    return [title, *lines] if lines else []


def _line(title: str, text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=f"{title:<{_INDENT}}", subsequent_indent=" " * _INDENT)


def _minute(time: str) -> str:
    return time[:16].replace("T", " ") + "Z"


def _money(number: Any) -> str:
    return "unknown" if number is None else f"{number:,.2f}"


def _percent(frac: float | None) -> str:
    return "unknown" if frac is None else f"{frac:.1%}"


def _bps(number: float | None) -> str:
    return "unknown" if number is None else f"{round(number, 2) + 0.0:+.2f}"
