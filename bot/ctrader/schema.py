"""cTrader Open API message classes, built in a private pool from the SDK's descriptors and patched.

How it works: the SDK (`ctrader-open-api` 0.9.2) is the ecosystem's schema source, but importing it would start
Twisted, fill the global descriptor pool and run its client. So its generated modules are read as text, the serialized
descriptors are taken out of them, copied, mended by the table `_patch` (the schema is older than the servers), and
registered in a pool of our own. `docs/decisions/0001-message-classes.md` tells why.

The classes are reached by name: `message("ProtoOASpotEvent")`, and by payload type: `message_for(2131)`.
"""

import ast
import importlib.util
from functools import cache
from pathlib import PurePath
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

_FILES = ("OpenApiCommonModelMessages", "OpenApiCommonMessages", "OpenApiModelMessages", "OpenApiMessages")

_Field = descriptor_pb2.FieldDescriptorProto
_INT32, _INT64, _UINT64, _BOOL, _STRING = (
    _Field.TYPE_INT32,
    _Field.TYPE_INT64,
    _Field.TYPE_UINT64,
    _Field.TYPE_BOOL,
    _Field.TYPE_STRING,
)

# Fields whose declaration in 0.9.2 is older than the server's (official .proto files, 2025-07-16).
_RETYPED = {("ProtoOAPositionUnrealizedPnL", "netUnrealizedPnL"): _INT64}
# Declared `required` in 0.9.2, optional officially. What we send still sets them, for old readers.
_OPTIONAL = (
    ("ProtoOADealListReq", ("fromTimestamp", "toTimestamp")),
    ("ProtoOAOrderListReq", ("fromTimestamp", "toTimestamp")),
    ("ProtoOAGetTickDataReq", ("fromTimestamp", "toTimestamp")),
    ("ProtoOAGetTrendbarsReq", ("fromTimestamp", "toTimestamp")),
    ("ProtoOADealListByPositionIdReq", ("fromTimestamp", "toTimestamp")),
    ("ProtoOAGetTrendbarsRes", ("timestamp",)),
)
_ADDED: tuple[tuple[str, str, int, "_Field.Type.ValueType"], ...] = (
    ("ProtoOAErrorRes", "retryAfter", 6, _UINT64),
    ("ProtoOAReconcileReq", "returnProtectionOrders", 3, _BOOL),
    ("ProtoOATrader", "fairStopOut", 21, _BOOL),
    ("ProtoOATrader", "stopOutStrategy", 22, _INT32),
    ("ProtoOATradeData", "measurementUnits", 8, _STRING),
    ("ProtoOATradeData", "closeTimestamp", 9, _UINT64),
    ("ProtoOACtidTraderAccount", "brokerTitleShort", 6, _STRING),
    ("ProtoOAGetTrendbarsRes", "hasMore", 7, _BOOL),
    ("ProtoOASymbol", "measurementUnits", 40, _STRING),
)
_ADDED_ENUM_VALUES = (("ProtoOASwapCalculationType", "POINTS", 2),)


class SchemaMissing(ImportError):
    """The SDK that carries the message descriptors is not installed, or is not the release we can read."""


def _serialized_descriptor(name: str) -> bytes:
    """Return the bytes given to `AddSerializedFile` in a generated SDK module, without importing it."""
    spec = importlib.util.find_spec("ctrader_open_api")
    if spec is None or spec.loader is None or not spec.submodule_search_locations:
        raise SchemaMissing("ctrader-open-api 0.9.2 is not installed; install microlev from its requirements.lock")
    path = PurePath(spec.submodule_search_locations[0]) / "messages" / f"{name}_pb2.py"
    source = spec.loader.get_data(str(path))  # type: ignore[attr-defined]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "AddSerializedFile":
            (argument,) = node.args
            if isinstance(argument, ast.Constant) and isinstance(argument.value, bytes):
                return argument.value
    raise SchemaMissing(f"no descriptor found in {path}: not ctrader-open-api 0.9.2?")


def _patch(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Bring a descriptor of 0.9.2 up to the official schema. A patch that finds the field already there is skipped."""
    messages = {m.name: m for m in file.message_type}
    for (message_name, field_name), field_type in _RETYPED.items():
        for field in messages[message_name].field if message_name in messages else ():
            if field.name == field_name:
                field.type = field_type
    for message_name, field_names in _OPTIONAL:
        for field in messages[message_name].field if message_name in messages else ():
            if field.name in field_names:
                field.label = _Field.LABEL_OPTIONAL
    for message_name, field_name, number, field_type in _ADDED:
        if message_name in messages and all(f.name != field_name for f in messages[message_name].field):
            messages[message_name].field.add(
                name=field_name, number=number, type=field_type, label=_Field.LABEL_OPTIONAL
            )
    for enum_name, value_name, number in _ADDED_ENUM_VALUES:
        for enum in file.enum_type:
            if enum.name == enum_name and all(v.name != value_name for v in enum.value):
                enum.value.add(name=value_name, number=number)


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for name in _FILES:
        file = descriptor_pb2.FileDescriptorProto.FromString(_serialized_descriptor(name))
        _patch(file)
        pool.Add(file)  # type: ignore[attr-defined]
    return pool


@cache
def message(name: str) -> Any:
    """Return the message class called `name`, for example `ProtoOASpotEvent`.

    Raises: KeyError when the schema has no such message.
    Source: the official .proto files through the descriptors of ctrader-open-api 0.9.2.
    """
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(name))


@cache
def enum(name: str) -> dict[str, int]:
    """Return the names and numbers of an enum, for example `ProtoOAExecutionType`."""
    return {v.name: v.number for v in _pool().FindEnumTypeByName(name).values}


@cache
def _by_payload_type() -> dict[int, Any]:
    classes: dict[int, Any] = {}
    for name in ("OpenApiCommonMessages.proto", "OpenApiMessages.proto"):
        for message_name, descriptor in _pool().FindFileByName(name).message_types_by_name.items():
            field = descriptor.fields_by_name.get("payloadType")
            if field is not None and field.has_default_value:
                classes[field.default_value] = message(message_name)
    return classes


def message_for(payload_type: int) -> Any | None:
    """Return the message class of a payload type, or None for one this schema does not know."""
    return _by_payload_type().get(payload_type)


@cache
def payload_type(name: str) -> int:
    """Return the payload type number of a message name: `payload_type("ProtoOASpotEvent") == 2131`."""
    return int(message(name).DESCRIPTOR.fields_by_name["payloadType"].default_value)


def envelope(body: Message, client_msg_id: str | None = None) -> bytes:
    """Return the serialized `ProtoMessage` that carries `body`, ready for framing.

    Source: ProtoMessage: payloadType=1, payload=2, clientMsgId=3.
    """
    wrapper = message("ProtoMessage")(
        payloadType=body.DESCRIPTOR.fields_by_name["payloadType"].default_value, payload=body.SerializeToString()
    )
    if client_msg_id is not None:
        wrapper.clientMsgId = client_msg_id
    return bytes(wrapper.SerializeToString())
