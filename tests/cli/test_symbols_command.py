"""`microlev symbols` against the embedded venue, over real TLS; and the search itself against a table of answers."""

from types import SimpleNamespace
from typing import Any

import pytest
from private_reactor import SECRETS, VIEW_TOKEN, Bench, bench

from bot.cli.symbols import table
from bot.ctrader.enquiry import EnquiryRefused, Script
from bot.ctrader.schema import message
from bot.ctrader.symbol_search import BATCH, SymbolSearch, search_symbols

__all__ = ["bench"]  # a fixture

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

KEYS = [
    "type", "id", "name", "description", "digits", "lot_size_cents", "min_volume_cents", "step_volume_cents",
    "max_volume_cents", "leverage", "commission", "trading_mode", "enabled", "open",
]  # fmt: skip


def test_every_symbol_is_a_json_line_with_every_key(bench: Bench) -> None:
    bench.serve()
    assert bench.microlev("symbols", bench.config(), "--json") == 0
    assert [line["name"] for line in bench.lines] == ["BTCUSD", "EURJPY", "EURUSD", "GBPUSD", "USDJPY", "XAUUSD"]
    assert all(list(line) == KEYS for line in bench.lines)
    (euro,) = [line for line in bench.lines if line["name"] == "EURUSD"]
    assert (euro["id"], euro["digits"], euro["lot_size_cents"]) == (1, 5, 10_000_000)
    assert (euro["leverage"], euro["trading_mode"], euro["enabled"], euro["open"]) == (500, "ENABLED", True, True)


def test_the_smaller_of_tier_and_account_leverage_is_shown(bench: Bench) -> None:
    bench.serve(leverage=100)
    assert bench.microlev("symbols", bench.config(), "--json", "usd") == 0
    assert {line["name"]: line["leverage"] for line in bench.lines} == {
        "BTCUSD": 50, "EURUSD": 100, "GBPUSD": 100, "USDJPY": 100, "XAUUSD": 100,
    }  # fmt: skip


def test_a_text_filters_whatever_its_case_and_the_table_has_a_line_each(bench: Bench) -> None:
    bench.serve()
    assert bench.microlev("symbols", bench.config(), "xau") == 0
    heading, row = bench.out.splitlines()
    assert heading.split()[:3] == ["name", "id", "description"]
    assert row.split()[0] == "XAUUSD"
    assert "1:200" in row
    assert bench.err == ""


def test_no_match_is_exit_0_and_says_so_with_close_names(bench: Bench) -> None:
    bench.serve()
    assert bench.microlev("symbols", bench.config(), "EURUDS", "--json") == 0
    assert bench.out == ""
    assert "none of the 6 symbols matches 'EURUDS'; close names: EURUSD" in bench.err


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"credentials": {"access_token": VIEW_TOKEN}}, 0, ""),
        ({"credentials": {"access_token": "nobody's"}}, 3, "CH_ACCESS_TOKEN_INVALID"),
        ({"account": {"id": 42}}, 3, "not in the token's grant"),
        ({"venue": {"environment": "live"}}, 3, "is demo"),
        ({"venue": {"ca_file": None}}, 4, "does not verify"),
        ({"credentials": {"client_secret": None}}, 2, "CTRADER_CLIENT_SECRET"),
    ],
)
def test_the_exit_code_says_what_went_wrong_in_one_line(
    changes: dict[str, Any], code: int, words: str, bench: Bench
) -> None:
    bench.serve()
    assert bench.microlev("symbols", bench.config(**changes)) == code
    assert words in bench.err
    assert bench.err.count("\n") == (1 if code else 0)
    assert not any(secret in bench.out + bench.err for secret in SECRETS.values())


# -- the search, answered from here --------------------------------------------------------------------------------


def answered(script: Script[SymbolSearch], lights: list[Any], details: Any, tiers: Any = None) -> tuple[Any, list[Any]]:
    """Run a search; `details` gives a symbol's ProtoOASymbol or None. Returns the result and what was asked."""
    asked: list[Any] = []

    def reply(request: Any) -> Any:
        asked.append(request)
        match request.DESCRIPTOR.name:
            case "ProtoOAGetAccountListByAccessTokenReq":
                accounts = [message("ProtoOACtidTraderAccount")(ctidTraderAccountId=7)]
                return message("ProtoOAGetAccountListByAccessTokenRes")(accessToken="t", ctidTraderAccount=accounts)
            case "ProtoOATraderReq":
                return SimpleNamespace(trader=message("ProtoOATrader")(leverageInCents=10_000))
            case "ProtoOASymbolsListReq":
                return SimpleNamespace(symbol=lights)
            case "ProtoOASymbolByIdReq":
                return SimpleNamespace(symbol=[d for d in map(details, request.symbolId) if d is not None])
            case "ProtoOAGetDynamicLeverageByIDReq":
                return tiers if tiers is not None else EnquiryRefused("ENTITY_NOT_FOUND")
        return message("ProtoOAAccountAuthRes")(ctidTraderAccountId=7)

    given = None
    while True:
        try:
            wanted = script.send(given)
        except StopIteration as stop:
            return stop.value, asked
        given = [reply(r) for r in wanted] if isinstance(wanted, list) else reply(wanted)


def search(wanted: str = "") -> Script[SymbolSearch]:
    return search_symbols(wanted, "t", None, "simulator", 1_700_000_000 * 10**9, lambda text: None)


def light(number: int, **fields: Any) -> Any:
    return message("ProtoOALightSymbol")(symbolId=number, **({"symbolName": f"S{number:04}"} | fields))


def test_details_of_thousands_are_asked_in_batches() -> None:
    lights = [light(i) for i in range(1, 351)]
    found, asked = answered(search(), lights, lambda i: message("ProtoOASymbol")(symbolId=i, digits=1, pipPosition=0))
    sizes = [len(r.symbolId) for r in asked if r.DESCRIPTOR.name == "ProtoOASymbolByIdReq"]
    assert sizes == [BATCH, BATCH, BATCH, 50]
    assert len(found.found) == 350


def test_disabled_symbols_are_left_out_and_descriptions_searched() -> None:
    lights = [
        light(1, enabled=False, description="gold"),
        light(2, enabled=True, description="Spot GOLD"),
        light(3, description="silver"),
    ]
    found, _ = answered(search("gold"), lights, lambda i: None)
    assert [symbol.symbol_id for symbol in found.found] == [2]
    assert found.listed_count == 2


def test_what_the_broker_does_not_say_is_null_and_a_dash() -> None:
    found, _ = answered(search(), [light(1)], lambda i: None)
    (symbol,) = found.found
    assert (symbol.digits, symbol.leverage, symbol.is_open, symbol.trading_mode) == (None, None, None, None)
    assert table(found.found).splitlines()[1].split() == ["S0001", "1", *["-"] * 10]


@pytest.mark.parametrize(("has_table", "leverage"), [(None, 100), (False, None), (True, 30)])
def test_leverage_is_the_account_s_without_a_table_and_null_when_the_table_is_refused(
    has_table: bool | None, leverage: float | None
) -> None:
    fields = {} if has_table is None else {"leverageId": 5}
    tiers = None
    if has_table:
        tiers = message("ProtoOAGetDynamicLeverageByIDRes")(ctidTraderAccountId=7)
        tiers.leverage.leverageId = 5
        tiers.leverage.tiers.add(volume=100, leverage=30)
    found, _ = answered(
        search(), [light(1)], lambda i: message("ProtoOASymbol")(symbolId=i, digits=1, pipPosition=0, **fields), tiers
    )
    assert found.found[0].leverage == leverage


@pytest.mark.parametrize(
    ("kind", "rate", "words"),
    [
        (1, 30 * 10**8, "30 USD per million USD"),
        (2, 350_000_000, "3.5 USD per lot"),
        (3, 5_000, "0.05 in a hundred of the value"),
        (4, 10**8, "1 quote currency per lot"),
    ],
)
def test_commission_is_said_in_words(kind: int, rate: int, words: str) -> None:
    fields = {"commissionType": kind, "preciseTradingCommissionRate": rate}
    found, _ = answered(
        search(), [light(1)], lambda i: message("ProtoOASymbol")(symbolId=i, digits=1, pipPosition=0, **fields)
    )
    assert found.found[0].commission == words
