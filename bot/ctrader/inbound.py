"""One inbound frame, read and checked: which message it is, and which request it answers."""

from typing import Any

from google.protobuf.message import DecodeError

from bot.ctrader.schema import message, message_for, payload_type

_Envelope = message("ProtoMessage")
_MARKET_DATA = (payload_type("ProtoOASpotEvent"), payload_type("ProtoOADepthEvent"))


def read_frame(body: bytes) -> tuple[int, Any, str]:
    """Return payload type, message and message id of a whole frame, given without its length.

    Missing: the message is None for a payload type that nobody knows; the id is empty when there is none.
    Raises: DecodeError for what is no message, or lacks what its kind requires.
    """
    wrapper = _Envelope.FromString(body)
    if not wrapper.HasField("payloadType"):
        raise DecodeError("the frame has no payload type")
    number = wrapper.payloadType
    kind = message_for(number)
    if kind is None:
        return number, None, wrapper.clientMsgId
    content = kind.FromString(wrapper.payload)
    # Not asked of market data, where it would cost as much as the decoding: an absent field reads as 0 there, and no
    # symbol, account, price or size is 0.
    if number not in _MARKET_DATA and not content.IsInitialized():
        raise DecodeError(f"{kind.DESCRIPTOR.name} lacks required fields")
    return number, content, wrapper.clientMsgId
