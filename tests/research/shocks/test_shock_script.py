"""Scripts of shocks: the standard one, the form of a file, and what cannot be played."""

import itertools
from typing import Any

import pytest

from bot.market.hours import SymbolHours
from bot.research.backtest.drop import Drop
from bot.research.metrics.arm_run import Span
from bot.research.shocks.script import ShockError, shocks_of, standard
from bot.research.shocks.shock import USUAL, Shock, checked, drops, spans
from bot.sim.listing import default_symbols

S = 1_000_000_000
FRIDAY_NS = 1_398_988_800 * S  # 2014-05-02 00:00 UTC
SPECS = [spec for spec in default_symbols() if spec.name in ("EURUSD", "GBPUSD")]
SIGNS = {"EURUSD": 1, "GBPUSD": -1}


def test_the_standard_script_has_every_kind_with_and_without_a_move_in_open_hours_and_twenty_minutes_apart() -> None:
    end_ns = FRIDAY_NS + 4 * 86_400 * S  # a weekend lies within
    shocks = standard(SPECS, SIGNS, FRIDAY_NS, end_ns, seed=3)
    assert sorted((shock.symbol, shock.name) for shock in shocks) == sorted(
        (name, title)
        for name in SIGNS
        for kind in USUAL
        for title in (
            ("shock gap", "shock gap that comes back")
            if kind == "gap"
            else (f"shock {kind}", f"shock {kind} with a move")
        )
    )
    for before, after in itertools.pairwise(shocks):
        assert after.at_ns - before.end_ns >= 1_200 * S
    hours = [SymbolHours(spec) for spec in SPECS]
    assert all(each.is_open(ns) is not False for each in hours for s in shocks for ns in (s.at_ns, s.end_ns))
    assert shocks[0].at_ns >= FRIDAY_NS + 1_800 * S
    assert all(shock.move_bps * SIGNS[shock.symbol] <= 0 for shock in shocks)
    assert {(s.symbol, s.side) for s in shocks if s.side} == {("EURUSD", "bid"), ("GBPUSD", "ask")}
    assert checked(shocks, SIGNS, FRIDAY_NS, end_ns) == tuple(shocks)


def test_the_standard_script_depends_on_its_seed_alone() -> None:
    def made(seed: int) -> list[Shock]:
        return standard(SPECS[:1], SIGNS, FRIDAY_NS, FRIDAY_NS + 20 * 3_600 * S, seed)

    assert made(1) == made(1)
    assert made(1) != made(2)


def test_too_short_a_time_for_the_standard_script_says_how_much_is_needed() -> None:
    with pytest.raises(ValueError, match=r"has 14 shocks, which take 7\.2 hours .* there are 4\.1"):
        standard(SPECS[:1], SIGNS, FRIDAY_NS, FRIDAY_NS + 5 * 3_600 * S)


def test_a_file_names_kind_symbol_and_time_and_the_rest_is_usual() -> None:
    move = {"bps": 20, "side": "against", "reverts": True}
    content = {
        "shocks": [
            {"kind": "spread", "symbol": "EURUSD", "at": "2014-05-02T08:00", "size": 5, "move": move},
            {"kind": "empty-side", "symbol": "GBPUSD", "at": "2014-05-02T11:00+02:00", "for_s": 1},
        ]
    }
    at_ns = FRIDAY_NS + 8 * 3_600 * S
    assert shocks_of(content, SIGNS) == [
        Shock("spread", "EURUSD", at_ns, 60.0, 5.0, None, -20.0, True),
        Shock("empty-side", "GBPUSD", at_ns + 3_600 * S, 1.0, None, "ask"),
    ]


GOOD = {"kind": "spread", "symbol": "EURUSD", "at": "2014-05-02T08:00"}


@pytest.mark.parametrize(
    ("entry", "key", "text"),
    [
        ({"kind": "flood"}, "kind", "'flood' is no kind of shock; there are: spread"),
        ({"at": "noon"}, "at", "is a time such as 2026-01-05T08:30, not 'noon'"),
        ({"sise": 3}, "sise", "is not known; there are: kind, symbol"),
        ({"size": "ten"}, "size", "is a number, not 'ten'"),
        ({"size": 0.5}, "", "it is widened by 1 or more, not 0.5"),
        ({"kind": "stale", "size": 2}, "", "this kind has neither size nor side"),
        ({"kind": "gap"}, "", "a gap needs a move, such as 100 bps down"),
        ({"move": {"bps": -3, "side": "up"}}, "move.bps", "above 0; its side says where to, not -3"),
        ({"move": {"bps": 3, "side": "left"}}, "move.side", "is against, up or down, not 'left'"),
        ({"symbol": "XAUUSD", "move": {"bps": 3, "side": "against"}}, "move.side", "write up or down"),
        ({"for_s": 0}, "", "a shock lasts more than 0 s"),
        ({"at": None}, "at", "is missing"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named_by_its_key(entry: dict[str, Any], key: str, text: str) -> None:
    with pytest.raises(ShockError) as caught:
        shocks_of({"shocks": [GOOD | entry]}, SIGNS)
    assert ".".join(caught.value.key) == ".".join(["shocks", "0", *([key] if key else [])])
    assert text in str(caught.value)


def test_shocks_that_a_run_cannot_play_are_refused() -> None:
    def stale(at_s: float, duration_s: float = 30.0, symbol: str = "EURUSD", kind: str = "stale") -> Shock:
        return Shock(kind, symbol, FRIDAY_NS + round(at_s * S), duration_s)

    end_ns = FRIDAY_NS + 100 * S
    for shocks, text in (
        ([stale(10, symbol="USDJPY")], "the run has no such symbol; it has EURUSD, GBPUSD"),
        ([stale(80)], "it is not within the data, 2014-05-02 00:00:00 to 2014-05-02 00:01:40 UTC"),
        ([stale(40), stale(10)], "begins before shock stale of EURUSD at 2014-05-02 00:00:10 is over"),
        ([stale(10, kind="reconnect"), stale(20, kind="reconnect", symbol="GBPUSD")], "two reconnects overlap"),
    ):
        with pytest.raises(ValueError, match=text):
            checked(shocks, SIGNS, FRIDAY_NS, end_ns)
    assert len(checked([stale(10), stale(20, symbol="GBPUSD")], SIGNS, FRIDAY_NS, end_ns)) == 2


def test_spans_tell_kind_and_peak_and_reconnects_are_drops() -> None:
    shocks = [
        Shock("reconnect", "EURUSD", 90 * S, 5.0),
        Shock("gap", "EURUSD", 50 * S, 10.0, move_bps=100.0),
        Shock("depth", "EURUSD", 10 * S, 20.0, 0.1, None, 5.0),
    ]
    assert spans(shocks) == (
        Span(10 * S, 30 * S, "shock depth with a move", 30 * S - 1),
        Span(50 * S, 60 * S, "shock gap", 50 * S),
        Span(90 * S, 95 * S, "shock reconnect", 95 * S - 1),
    )
    assert drops(shocks) == (Drop(90 * S, 95 * S),)
