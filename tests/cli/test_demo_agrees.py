"""`microlev demo --trade`: when it is over, its ledger and its summary say what the venue holds, to the cent."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from private_reactor import ACCOUNT, Bench, bench

import bot.net.simulator
from bot.journal.ledger import Intent, Ledger
from bot.sim.venue import Venue

__all__ = ["bench"]  # a fixture

# Twisted 26.10 still hands pyOpenSSL its own deprecated certificate objects.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

PRESET: dict[str, Any] = {
    "mode": "trade",
    "account": {"id": 12_345_678},
    "symbols": {"EURUSD": {"direction": "long"}, "USDJPY": {"direction": "short"}, "XAUUSD": {"direction": "long"}},
    "strategy": {"name": "liquidity-weighted", "base_leverage": 6, "parameters": {"liquidity_base_s": 5}},
    "sizing": {"warm_up_s": 0, "persistence_s": 0, "max_increase_frac_per_min": 1, "band": 0.02, "calendar": False},
    "execution": {"min_interval_s": 0.2, "slicing": "none"},
    "on_stop": "flatten",
}


@pytest.mark.slow
def test_the_ledger_and_the_summary_of_a_demo_are_the_venues_to_the_cent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    venues: list[Venue] = []
    intents: dict[str, Intent] = {}
    start, close, record = bot.net.simulator.start_simulator, Ledger.close, Ledger.record_intent
    names: list[str] = []

    def remember(reactor: Any, venue: Venue, *given: Any, **named: Any) -> Any:
        venues.append(venue)
        return start(reactor, venue, *given, **named)

    def noted(ledger: Ledger, intent: Intent) -> None:
        record(ledger, intent)
        names.append(intent.client_order_id)

    def read_and_close(ledger: Ledger) -> None:
        # The demo's state folder goes with it.
        for name in names:
            if name not in intents and (found := ledger.intent(name)) is not None:
                intents[name] = found
        close(ledger)

    monkeypatch.setattr(bot.net.simulator, "start_simulator", remember)
    monkeypatch.setattr(Ledger, "record_intent", noted)
    monkeypatch.setattr(Ledger, "close", read_and_close)
    preset = bench.folder / "preset.yaml"
    preset.write_text(yaml.safe_dump(PRESET), encoding="utf-8")
    journals = bench.folder / "journals"
    assert bench.microlev("demo", "--config", preset, "--trade", "--seconds", 3, "--json", "--record", journals) == 0
    assert bench.err == ""
    (venue,) = venues
    account = venue.desks[ACCOUNT].account

    orders = {order.order_id: order for order in account.order_history.values()}
    by_client = {order.client_order_id: order for order in orders.values() if order.client_order_id}
    assert set(by_client) == {i.client_order_id for i in intents.values() if i.action in ("open", "increase")}
    closes = sorted((o.position_id, o.volume_cents) for o in orders.values() if o.closing)
    assert closes == sorted(
        (int(i.position_id or 0), abs(i.volume_cents)) for i in intents.values() if i.action in ("reduce", "close")
    )
    for name, order in by_client.items():
        true = "filled" if order.executed_cents == order.volume_cents else order.status.lower()
        assert intents[name].state == true
    assert {deal.order_id for deal in account.deals} <= set(orders)
    # What each closing deal realised makes the balance, from the deposit on.
    realised = sum(d.closing.gross_profit + d.closing.swap + d.closing.commission for d in account.deals if d.closing)
    assert account.balance == 1_000_000 + realised

    summary = bench.lines[-1]
    assert Decimal(str(summary["balance"])) == Decimal(account.balance) / 100
    assert summary["positions"] == [] and account.positions == {}
    assert len(by_client) >= 3 and len(closes) >= 3, "too little has been traded"


@pytest.mark.slow
def test_the_positions_that_a_demo_keeps_are_the_venues(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    venues: list[Venue] = []
    start = bot.net.simulator.start_simulator

    def remember(reactor: Any, venue: Venue, *given: Any, **named: Any) -> Any:
        venues.append(venue)
        return start(reactor, venue, *given, **named)

    monkeypatch.setattr(bot.net.simulator, "start_simulator", remember)
    preset = Path(bench.folder / "preset.yaml")
    preset.write_text(yaml.safe_dump(PRESET | {"on_stop": "cancel"}), encoding="utf-8")
    arguments = ("demo", "--config", preset, "--trade", "--seconds", 2, "--json", "--record", bench.folder / "j")
    assert bench.microlev(*arguments) == 0, bench.err
    account = venues[0].desks[ACCOUNT].account
    summary = bench.lines[-1]
    held = {p.position_id: (p.volume_cents if p.is_buy else -p.volume_cents) for p in account.positions.values()}
    assert {p["position_id"]: p["volume_cents"] for p in summary["positions"]} == held and held
    for position in summary["positions"]:
        assert position["price"] == pytest.approx(float(account.positions[position["position_id"]].price), rel=1e-9)
    assert summary["balance"] == account.balance / 100
