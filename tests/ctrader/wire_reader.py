"""Protocol buffers read and written by hand, byte by byte: what the decoder under test is compared with.

It knows the wire format and nothing of the library that the bot uses; of the schema it takes names, numbers and kinds.
Source: the protocol buffers encoding guide, proto2 semantics: the last scalar wins, embedded messages merge, repeated
numbers come packed or not, a field on the wrong wire type and an enum value out of range are unknown fields.
"""

import struct
from typing import Any

VARINT, FIXED64, LENGTH, START, END, FIXED32 = range(6)
DEPTH_LIMIT = 100
# Kinds of field, by the numbers of FieldDescriptorProto.Type.
DOUBLE, FLOAT, INT64, UINT64, INT32, FIXED_64, FIXED_32, BOOL, STRING = 1, 2, 3, 4, 5, 6, 7, 8, 9
MESSAGE, BYTES, UINT32, ENUM = 11, 12, 13, 14
_WIRE_TYPES = {DOUBLE: FIXED64, FIXED_64: FIXED64, FLOAT: FIXED32, FIXED_32: FIXED32}
_WIRE_TYPES |= dict.fromkeys((STRING, MESSAGE, BYTES), LENGTH)


class Unreadable(Exception):
    """The bytes are no message."""


def varint(number: int) -> bytes:
    """Write a varint; a negative number as its 64 bits."""
    number &= 2**64 - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(number: int, wire_type: int) -> bytes:
    """Write the tag of a field."""
    return varint(number << 3 | wire_type)


def scalar(number: int, content: int) -> bytes:
    """Write a varint field."""
    return tag(number, VARINT) + varint(content)


def block(number: int, content: bytes) -> bytes:
    """Write a field with a length: bytes, text, a message, packed numbers."""
    return tag(number, LENGTH) + varint(len(content)) + content


def read(descriptor: Any, data: bytes) -> dict[str, Any]:
    """Read a message: name -> content, for the fields that are present; repeated ones as lists.

    Raises: Unreadable.
    """
    fields: dict[str, Any] = {}
    _read_into(fields, descriptor, data, DEPTH_LIMIT)
    return fields


def lacks(descriptor: Any, fields: dict[str, Any]) -> bool:
    """Return whether a required field is missing, at any depth."""
    for field in descriptor.fields:
        content = fields.get(field.name)
        if content is None:
            if field.is_required:
                return True
        elif field.type == MESSAGE:
            parts = content if field.is_repeated else [content]
            if any(lacks(field.message_type, part) for part in parts):
                return True
    return False


def _read_into(fields: dict[str, Any], descriptor: Any, data: bytes, depth: int) -> None:
    if depth < 0:
        raise Unreadable("too deep")
    at = 0
    while at < len(data):
        number, wire_type, at = _tag(data, at)
        field = descriptor.fields_by_number.get(number)
        start = at
        content, at = _content(data, at, wire_type, number, depth)
        if field is None:
            continue
        wanted = _WIRE_TYPES.get(field.type, VARINT)
        if field.is_repeated and wire_type == LENGTH and wanted != LENGTH:
            for part in _packed(content, wanted):
                _take(fields, field, part, depth)
        elif wire_type == wanted:
            _take(fields, field, content, depth)
        assert at > start or wire_type == START


def _take(fields: dict[str, Any], field: Any, content: Any, depth: int) -> None:
    if field.type == MESSAGE:
        if field.is_repeated:
            part: dict[str, Any] = {}
            fields.setdefault(field.name, []).append(part)
        else:
            part = fields.setdefault(field.name, {})
        _read_into(part, field.message_type, content, depth - 1)
        return
    if field.type == ENUM:
        content = _signed(content, 32)
        if content not in field.enum_type.values_by_number:
            return
    if field.type == INT64:
        content = _signed(content, 64)
    elif field.type == INT32:
        content = _signed(content, 32)
    elif field.type == UINT32:
        content &= 2**32 - 1
    elif field.type == BOOL:
        content = content != 0
    elif field.type == DOUBLE:
        (content,) = struct.unpack("<d", content)
    if field.is_repeated:
        fields.setdefault(field.name, []).append(content)
    else:
        fields[field.name] = content


def _signed(number: int, bits: int) -> int:
    number &= 2**bits - 1
    return number - 2**bits if number >> (bits - 1) else number


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for i in range(10):
        if at + i >= len(data):
            raise Unreadable("cut in a number")
        byte = data[at + i]
        number |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return number & (2**64 - 1), at + i + 1  # what is over 64 bits is cut off
    raise Unreadable("a number without an end")


def _tag(data: bytes, at: int) -> tuple[int, int, int]:
    key, end = _varint(data, at)
    if key > 2**32 - 1 or end - at > 5:
        raise Unreadable("a tag over 32 bits")
    number, wire_type = key >> 3, key & 7
    if number == 0 or wire_type > FIXED32:
        raise Unreadable(f"field {number} of wire type {wire_type}")
    return number, wire_type, end


def _content(data: bytes, at: int, wire_type: int, number: int, depth: int) -> tuple[Any, int]:
    if wire_type == VARINT:
        return _varint(data, at)
    if wire_type == END:
        raise Unreadable("the end of a group that never began")
    if wire_type == START:
        return None, _skip_group(data, at, number, depth - 1)
    if wire_type == LENGTH:
        size, at = _varint(data, at)
    else:
        size = 8 if wire_type == FIXED64 else 4
    if size > len(data) - at:
        raise Unreadable("cut in a field")
    return data[at : at + size], at + size


def _skip_group(data: bytes, at: int, number: int, depth: int) -> int:
    if depth < 0:
        raise Unreadable("too deep")
    while True:
        inner, wire_type, at = _tag(data, at)
        if wire_type == END:
            if inner != number:
                raise Unreadable("the end of another group")
            return at
        _, at = _content(data, at, wire_type, inner, depth)


def _packed(content: bytes, wanted: int) -> list[Any]:
    parts, at = [], 0
    while at < len(content):
        if wanted == VARINT:
            part, at = _varint(content, at)
        else:
            size = 8 if wanted == FIXED64 else 4
            if size > len(content) - at:
                raise Unreadable("cut in a packed number")
            part, at = content[at : at + size], at + size
        parts.append(part)
    return parts
