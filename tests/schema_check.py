"""As much of JSON schema as our schemas use: what is wrong with a value, by where it lies."""

import re
from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, Any] = {"string": str, "object": dict, "array": list, "null": type(None), "boolean": bool}
_KNOWN = {
    "type", "enum", "const", "anyOf", "$ref", "properties", "additionalProperties", "required", "items", "pattern",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "minProperties",
    "description", "default", "examples", "format", "writeOnly", "title", "$schema", "$defs",
}  # fmt: skip


def faults_of(value: Any, schema: dict[str, Any], models: dict[str, Any], where: str = "") -> list[str]:
    """Return what is wrong with a value; nothing when it fits. A word that is unknown here is the test's error."""
    assert schema.keys() <= _KNOWN, schema.keys() - _KNOWN
    return list(_faults(value, schema, models, where))


def _faults(value: Any, schema: dict[str, Any], models: dict[str, Any], where: str) -> Iterator[str]:
    if "$ref" in schema:
        yield from faults_of(value, models[schema["$ref"].rpartition("/")[2]], models, where)
    if "anyOf" in schema:
        each = [faults_of(value, choice, models, where) for choice in schema["anyOf"]]
        if all(each):
            yield max((found[0] for found in each), key=lambda text: len(text.partition(":")[0]))  # what was meant
    if "type" in schema and not _is_type(value, schema["type"]):
        yield f"{where}: {value!r} is no {schema['type']}"
        return
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{where}: {value!r} is none of the choices"
    if isinstance(value, str):
        longest = schema.get("maxLength", len(value))
        if not re.search(schema.get("pattern", ""), value) or not schema.get("minLength", 0) <= len(value) <= longest:
            yield f"{where}: {value!r} does not fit"
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _bounds(value, schema, where)
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{where}: is too short"
        for number, entry in enumerate(value):
            yield from faults_of(entry, schema.get("items", {}), models, f"{where}.{number}")
    if isinstance(value, dict):
        yield from _keys(value, schema, models, where)


def _keys(value: dict[str, Any], schema: dict[str, Any], models: dict[str, Any], where: str) -> Iterator[str]:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    yield from (f"{where}.{name}: is missing" for name in schema.get("required", []) if name not in value)
    if len(value) < schema.get("minProperties", 0):
        yield f"{where}: is empty"
    for name, inner in value.items():
        if name in known or isinstance(others, dict):
            yield from faults_of(inner, known.get(name, others), models, f"{where}.{name}")
        elif not others:
            yield f"{where}.{name}: unknown key"


def _bounds(value: float, schema: dict[str, Any], where: str) -> Iterator[str]:
    is_low = value < schema.get("minimum", value) or value <= schema.get("exclusiveMinimum", value - 1)
    if is_low or value > schema.get("maximum", value) or value >= schema.get("exclusiveMaximum", value + 1):
        yield f"{where}: {value:g} is out of range"


def _is_type(value: Any, name: str) -> bool:
    if name in ("number", "integer"):
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return not isinstance(value, bool) and isinstance(value, int | float) and (name == "number" or is_whole)
    return isinstance(value, _TYPES[name])
