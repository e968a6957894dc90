"""Inbound frames as they may be stored: tokens replaced by a marker, everything else untouched to the byte.

Two messages carry tokens to us: the account list (2150 echoes the access token) and the refresh reply (2174).
"""

from collections.abc import Iterable, Sequence

from google.protobuf.message import DecodeError, Message

from bot.ctrader.schema import message, payload_type

MARKER = "***"
_TOKEN_FIELDS = ("accessToken", "refreshToken")
_TYPE_BYTES = 3  # tag and two-byte varint: where every sender puts the payload type
_CARRIERS = ("ProtoOAGetAccountListByAccessTokenRes", "ProtoOARefreshTokenRes")


def redact_frames(frames: Sequence[bytes], loud: Iterable[int]) -> list[bytes]:
    """Return the frames of a batch as they may be stored.

    Args: `loud` are the positions of the frames that are looked at. The others were read as plain market data, which is
        numbers and nothing else (`bot.ctrader.hotpath`): they have no place for a token.
    """
    stored = list(frames)
    for i in loud:
        stored[i] = redact_frame(frames[i])
    return stored


def redact_frame(body: bytes) -> bytes:
    """Return the frame with every token replaced by `***`; frames without tokens come back unchanged.

    A carrier that does not parse, wholly or in its payload, or claims a second type, or has its tokens anywhere but in
    their fields, is stored as an empty message of its type: nothing damaged is trusted to be harmless.
    Source: ProtoOAGetAccountListByAccessTokenRes.accessToken, ProtoOARefreshTokenRes.accessToken and refreshToken.
    """
    envelope_type = message("ProtoMessage")
    try:
        wrapper = envelope_type.FromString(body)
    except DecodeError:
        number = _carrier_in(body)
        return body if number is None else bytes(envelope_type(payloadType=number).SerializeToString())
    first = _carrier_in(body[:_TYPE_BYTES])
    if first is not None and wrapper.payloadType != first:
        # Two payload types in one frame: it was damaged on the way, and the token may be in the part of the first.
        return bytes(envelope_type(payloadType=first).SerializeToString())
    for name in _CARRIERS:
        if wrapper.payloadType == payload_type(name):
            payload, tokens = _without_tokens(message(name), wrapper.payload)
            wrapper.payload = payload
            # Unknown fields of the envelope go too: a token could hide in one.
            wrapper.DiscardUnknownFields()
            stored = bytes(wrapper.SerializePartialToString())
            # Damage may have moved a token, or the whole payload, into the message id or another text.
            is_clean = tokens is not None and not any(token in stored for token in tokens if token)
            return stored if is_clean else bytes(envelope_type(payloadType=wrapper.payloadType).SerializeToString())
    return body


def _without_tokens(message_type: type[Message], payload: bytes) -> tuple[bytes, list[bytes] | None]:
    """Return the payload with its tokens replaced, and the tokens; None where one is not in its place."""
    try:
        content = message_type.FromString(payload)
    except DecodeError:
        return b"", None
    fields = [field for field in _TOKEN_FIELDS if field in message_type.DESCRIPTOR.fields_by_name]
    if not all(content.HasField(field) for field in fields):
        return b"", None
    tokens = [getattr(content, field) for field in fields]
    for field in fields:
        setattr(content, field, MARKER)
    content.DiscardUnknownFields()  # type: ignore[no-untyped-call, unused-ignore]  # stub differs between releases
    # One that is not UTF-8 comes as bytes.
    return content.SerializePartialToString(), [t if isinstance(t, bytes) else t.encode() for t in tokens]


def _carrier_in(body: bytes) -> int | None:
    # payloadType is field 1, a varint: tag 0x08, then the number. Anywhere in a broken frame is reason enough.
    numbers = (payload_type(name) for name in _CARRIERS)
    return next((number for number in numbers if b"\x08" + _varint(number) in body), None)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
