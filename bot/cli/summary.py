"""What a run has been: the `summary` line of the contract, and the same for a person."""

from typing import Any

from bot.assembly import Run
from bot.market.book import COUNTER_NAMES
from bot.telemetry.plain import iso_time, known


def summarise(run: Run, driver: Any) -> dict[str, Any]:
    """Return the figures of a run that is ending, as one JSON object.

    Units: money in deposit currency; `decision_us` microseconds from the arrival of the bytes to the Decision,
    `order_us` to the order's bytes on their way (in a dry run: to where they would be sent).
    """
    figures, engine = driver.figures, run.engine
    now_ns = driver.now_ns()
    ready_s = (now_ns - figures.ready_ns) / 1e9 if figures.ready_ns is not None else None
    counters = (
        engine.books.heads["counters"].sum(axis=0).tolist() if engine.books is not None else [0] * len(COUNTER_NAMES)
    )
    counts = dict(zip(COUNTER_NAMES, counters, strict=True))
    events = counts["depth_events"] + counts["spot_events"]
    names = {spec.symbol_id: spec.name for spec in engine.specs}
    valuation = engine.valuation
    balance = engine.portfolio.balance
    margin = engine.used_margin()
    return {
        "type": "summary",
        "time": iso_time(now_ns),
        "mode": run.config.mode,
        "environment": run.config.venue.environment,
        "account_id": engine.account.account_id if engine.account is not None else run.config.account.id,
        "deposit_currency": engine.account.deposit_asset if engine.account is not None else None,
        "ready_s": None if ready_s is None else round(ready_s, 3),
        "connections": figures.connections,
        "frames": figures.frames,
        "depth_events": counts["depth_events"],
        "spot_events": counts["spot_events"],
        "events_per_s": round(events / ready_s, 1) if ready_s else None,
        "unknown_deletes": counts["unknown_deletes"],
        "unknown_messages": run.session.counters.get("unknown_types", 0),
        "malformed_messages": run.session.counters.get("malformed", 0),
        "decisions": figures.decisions,
        "intended_orders": figures.intended,
        "refused": figures.refused,
        "order_changes": figures.order_changes,
        "decision_us": _percentiles(figures, figures.decision_ns),
        "order_us": _percentiles(figures, figures.order_ns),
        "trading": engine.trading,
        "balance": None if balance is None else float(balance),
        "equity": known(valuation.equity),
        "used_margin": known(margin),
        "margin_level": known(valuation.equity / margin) if margin > 0 else None,
        "leverage": {spec.name: known(x) for spec, x in zip(engine.specs, valuation.leverage, strict=False)},
        "open_orders": [
            {"client_order_id": name, "symbol": change.order.symbol, "state": change.state}
            for name, change in figures.open_orders.items()
        ],
        "positions": [
            {
                "position_id": p.position_id,
                "symbol": names.get(p.symbol_id),
                "volume_cents": p.volume_cents,
                "price": p.price,
                "ours": engine.portfolio.is_ours(p),
            }
            for p in engine.portfolio.positions()
        ],
        "agreement": None,  # of the ledger with the embedded venue's own account; only `demo --trade` has both
        "journal": str(run.journal.path_to_keep) if run.journal is not None else None,
    }


def _percentiles(figures: Any, samples: Any) -> dict[str, float | None]:
    return {"p50": figures.percentile_us(samples, 0.5), "p99": figures.percentile_us(samples, 0.99)}


def in_words(summary: dict[str, Any]) -> str:
    """Return the summary for a person, a few short lines."""
    if summary["ready_s"] is None:
        return "The session never became ready; nothing was decided."
    paper = " (on paper)" if summary["mode"] == "dry-run" else ""
    currency = summary["deposit_currency"]
    lines = [
        f"ready for {summary['ready_s']:.1f} s on account {summary['account_id']} ({summary['environment']}, "
        f"{summary['mode']}); {summary['connections']} connection(s)",
        f"received  {summary['depth_events']} depth and {summary['spot_events']} spot events over TLS "
        f"({summary['events_per_s']:g} a second)",
        f"decided   {summary['decisions']} times; from bytes to decision p50 {_us(summary['decision_us']['p50'])}, "
        f"p99 {_us(summary['decision_us']['p99'])}",
        f"intended  {summary['intended_orders']} order(s){paper}, {summary['refused']} refused by the risk gate",
        f"equity    {_money(summary['equity'])} {currency}, balance {_money(summary['balance'])} {currency}, "
        f"used margin {_money(summary['used_margin'])} {currency}",
    ]
    held = {name: x for name, x in summary["leverage"].items() if x}
    if held:
        lines.append("holding   " + ", ".join(f"{name} {x:+.2f}x" for name, x in held.items()) + paper)
    for order in summary["open_orders"]:
        lines.append(f"no answer {order['symbol']} order {order['client_order_id']} is {order['state']}: look it up")
    if summary["agreement"]:
        lines.append(_agreement(summary["agreement"], currency))
    if summary["journal"]:
        lines.append(f"journal   {summary['journal']}")
    return "\n".join(lines)


def _agreement(agreement: dict[str, Any], currency: str | None) -> str:
    """Return what the ledger and the embedded venue say of the account, in one line, or two where they differ."""
    here, there = (
        f"{books['deals']} deal(s), realised {_money(books['realised_profit'])} {currency}, "
        f"balance {_money(books['balance'])} {currency}"
        for books in (agreement["ledger"], agreement["venue"])
    )
    if agreement["agrees"]:
        return f"ledger    agrees with the venue's own books to the cent: {here}"
    return f"ledger    DIFFERS from the venue's books in {agreement['difference']}\n  ledger  {here}\n  venue   {there}"


def _us(microseconds: float | None) -> str:
    return "unknown" if microseconds is None else f"{microseconds:.0f} us"


def _money(number: float | None) -> str:
    return "unknown" if number is None else f"{number:,.2f}"
