"""The message classes: mended where the SDK's are stale, and made without its client."""

import subprocess
import sys

import pytest

from bot.ctrader.schema import enum, envelope, message, message_for, payload_type


def test_a_net_profit_over_32_bits_survives() -> None:
    kind = message("ProtoOAPositionUnrealizedPnL")
    pnl = kind(positionId=1, grossUnrealizedPnL=5_000_000_000, netUnrealizedPnL=5_000_000_000)
    assert kind.FromString(pnl.SerializeToString()).netUnrealizedPnL == 5_000_000_000


@pytest.mark.parametrize(
    ("name", "field", "number"),
    [
        ("ProtoOAErrorRes", "retryAfter", 6),
        ("ProtoOAReconcileReq", "returnProtectionOrders", 3),
        ("ProtoOATrader", "fairStopOut", 21),
        ("ProtoOATrader", "stopOutStrategy", 22),
        ("ProtoOACtidTraderAccount", "brokerTitleShort", 6),
        ("ProtoOAGetTrendbarsRes", "hasMore", 7),
    ],
)
def test_a_field_the_sdk_lacks_is_there_under_its_official_number(name: str, field: str, number: int) -> None:
    assert message(name).DESCRIPTOR.fields_by_name[field].number == number


@pytest.mark.parametrize(
    "name",
    [
        "ProtoOADealListReq",
        "ProtoOAOrderListReq",
        "ProtoOAGetTickDataReq",
        "ProtoOAGetTrendbarsReq",
        "ProtoOADealListByPositionIdReq",
    ],
)
def test_bounds_of_histories_are_optional(name: str) -> None:
    fields = message(name).DESCRIPTOR.fields_by_name
    assert not fields["fromTimestamp"].is_required
    assert not fields["toTimestamp"].is_required


def test_swaps_in_points_are_known() -> None:
    assert enum("ProtoOASwapCalculationType")["POINTS"] == 2


def test_a_payload_type_and_its_message_find_each_other() -> None:
    assert payload_type("ProtoOASpotEvent") == 2131
    assert message_for(2131) is message("ProtoOASpotEvent")
    assert message_for(999_999) is None
    with pytest.raises(KeyError):
        message("ProtoOANothing")


def test_an_envelope_carries_type_payload_and_id() -> None:
    wrapper = message("ProtoMessage").FromString(envelope(message("ProtoOAVersionReq")(), "r-1"))
    assert (wrapper.payloadType, wrapper.clientMsgId) == (2104, "r-1")
    assert not message("ProtoMessage").FromString(envelope(message("ProtoHeartbeatEvent")())).HasField("clientMsgId")


def test_the_sdk_and_twisted_are_never_imported() -> None:
    code = (
        "import sys, bot.ctrader.session as s; from bot.ctrader.schema import message; message('ProtoOASpotEvent');"
        "print([m for m in sys.modules if m.split('.')[0] in ('ctrader_open_api', 'twisted')])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "[]"
