"""No token survives in what may be stored, and nothing else is touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_venue import account_list, build, light

from bot.ctrader.redact import MARKER, redact_frame
from bot.ctrader.schema import envelope, message

tokens = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=60)


@given(tokens, tokens)
def test_no_token_survives_in_a_refresh_reply(access: str, refresh: str) -> None:
    reply = build("RefreshTokenRes", accessToken=access, tokenType="b", expiresIn=1, refreshToken=refresh)
    stored = redact_frame(envelope(reply, "m"))
    assert access.encode() not in stored
    assert refresh.encode() not in stored
    wrapper = message("ProtoMessage").FromString(stored)
    kept = message("ProtoOARefreshTokenRes").FromString(wrapper.payload)
    assert (kept.accessToken, kept.refreshToken, wrapper.clientMsgId) == (MARKER, MARKER, "m")


def test_the_account_list_keeps_everything_but_the_token() -> None:
    reply = account_list(5, 6)
    stored = redact_frame(envelope(reply, "m"))
    kept = message("ProtoOAGetAccountListByAccessTokenRes").FromString(
        message("ProtoMessage").FromString(stored).payload
    )
    reply.accessToken = MARKER
    assert kept == reply


@given(st.data())
def test_no_token_survives_a_frame_cut_anywhere_or_changed_anywhere(data: st.DataObject) -> None:
    token = "the-access-token"
    whole = envelope(account_list(), "m")
    cut = data.draw(st.integers(0, len(whole)))
    assert token.encode() not in redact_frame(whole[:cut]) or not whole[:cut].startswith(b"\x08\xe6\x10")
    broken = bytearray(whole)
    # From the end of the payload type on: with another type it is another message.
    broken[data.draw(st.integers(3, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    stored = redact_frame(bytes(broken))
    assert token.encode() not in stored


def test_a_token_in_an_unknown_field_does_not_survive() -> None:
    hidden = b"\xfa\x3f\x08" + b"a-secret"  # field 1023
    reply = account_list()
    wrapper = message("ProtoMessage")(payloadType=2150, payload=reply.SerializeToString() + hidden)
    assert b"a-secret" not in redact_frame(wrapper.SerializeToString() + hidden)


def test_a_carrier_that_does_not_parse_is_stored_without_its_payload() -> None:
    wrapper = message("ProtoMessage")(payloadType=2174, payload=b"\xff\xffsecret")
    kept = message("ProtoMessage").FromString(redact_frame(wrapper.SerializeToString()))
    assert (kept.payloadType, kept.payload) == (2174, b"")


@given(st.binary(max_size=80))
def test_any_other_bytes_come_back_unchanged(noise: bytes) -> None:
    stored = redact_frame(noise)
    assert stored == noise or b"\x08\xe6\x10" in noise or b"\x08\xfe\x10" in noise


@pytest.mark.parametrize(
    "content", [build("SpotEvent", symbolId=1, bid=5), build("SymbolsListRes", symbol=[light(11)])]
)
def test_a_frame_without_tokens_is_untouched(content) -> None:
    body = envelope(content, "m")
    assert redact_frame(body) is body


def test_a_carrier_that_claims_a_second_type_is_stored_empty() -> None:
    whole = envelope(account_list(), "m")
    damaged = whole[:3] + b"\x08\x1c" + whole[3:]
    assert message("ProtoMessage").FromString(damaged).payloadType == 28
    assert redact_frame(damaged) == whole[:3]
