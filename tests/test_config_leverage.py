"""Leverage bands and windows in the config: what is refused, on which line, and what reaches the engine."""

from datetime import UTC, datetime

import pytest

from bot.account.leverage_plan import Band, Window
from bot.assembly import engine_settings
from bot.config import ConfigError, parse_config

HEAD = "venue: {environment: simulator}\nsymbols: {EURUSD: {}, USDJPY: {}}\nstrategy: {name: constant}\n"


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        parse_config(HEAD + text, "bot.yaml", {})
    return str(refused.value)


BANDS = "risk:\n  leverage_bands:\n    - {equity_from: 10000, leverage: 200}\n    - "
WINDOWS = "risk:\n  leverage_windows:\n    - "


BAND_FAULTS = [
    ("{equity_from: 10000, leverage: 100}", "1.equity_from: 10000 is not above 10000; list the bands by rising equity"),
    ("{equity_from: 20000, leverage: 200}", "1.leverage: 200 is not below 200, that of less equity"),
    ("{equity_from: 20000}", "1.leverage: is missing; it has no default"),
    ("{equity_from: 20000, leverage: 9, leverge: 50}", "1.leverge: unknown key, did you mean 'leverage'?"),
    ("{equity_from: 20000, leverage: 0}", "1.leverage: is 0; should be greater than 0"),
]
AT = "at: 2026-12-04T13:30:00Z, leverage: 50"
WINDOW_FAULTS = [
    ("{at: 2026-12-04T13:30:00, leverage: 50}", "0.at: 2026-12-04T13:30:00 has no time zone"),
    ("{at: soon, leverage: 50}", "0.at: is 'soon'"),
    (f"{{{AT}, symbols: [EURUSD, XAUUSD]}}", "0.symbols: 'XAUUSD' is not one of the symbols of this config"),
    (f"{{{AT}, minutes_before: 0, minutes_after: 0}}", "0.minutes_after: the window has no length"),
]


@pytest.mark.parametrize(("entry", "said"), BAND_FAULTS)
def test_bands_that_make_no_sense_are_refused_with_their_line(entry: str, said: str) -> None:
    assert refusal(f"{BANDS}{entry}\n").startswith(f"bot.yaml:7: risk.leverage_bands.{said}")


@pytest.mark.parametrize(("entry", "said"), WINDOW_FAULTS)
def test_windows_that_make_no_sense_are_refused_with_their_line(entry: str, said: str) -> None:
    assert refusal(f"{WINDOWS}{entry}\n").startswith(f"bot.yaml:6: risk.leverage_windows.{said}")


def test_bands_and_windows_reach_the_engine_in_its_own_units() -> None:
    at = "2026-12-04T08:30:00-05:00"
    text = (
        f"{BANDS}{{equity_from: 20000, leverage: 100}}\n  leverage_windows:\n"
        f"    - {{at: {at}, minutes_before: 2.5, leverage: 50, symbols: [USDJPY]}}\n"
        "  max_spread_bps: 3\n  stop_out_level_frac: 0.3\n  expected_margin_tolerance_frac: 0.1\n"
        "sizing: {crisis: false}\n"
    )
    s = engine_settings(parse_config(HEAD + text, "bot.yaml", {}), "r")
    at_ns = int(datetime(2026, 12, 4, 13, 30, tzinfo=UTC).timestamp()) * 10**9
    assert s.leverage_bands == (Band(10_000, 200), Band(20_000, 100))
    assert s.leverage_windows == (Window(at_ns - 150 * 10**9, at_ns + 900 * 10**9, 50, ("USDJPY",)),)
    assert (s.expected_margin_tolerance_frac, s.profit_tolerance_frac) == (0.1, 0.002)
    limits = s.risk_limits
    assert (limits.max_spread_bps, limits.stop_out_level_frac, limits.heeds_crisis) == (3, 0.3, False)
