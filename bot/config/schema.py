"""JSON schemas of the YAML files, for editors: what may stand where, with the description and default of every key.

They say what the loader says, with two additions that only the text of a file has: `${NAME}` in place of a number or of
true and false, and a section that is left empty.
"""

from typing import Any, Literal

from pydantic import BaseModel

from bot.config.fault_model import FaultFile
from bot.config.model import Config, SweepConfig

SchemaKind = Literal["config", "faults", "ranges"]
SCHEMA_KINDS: dict[SchemaKind, type[BaseModel]] = {"config": Config, "faults": FaultFile, "ranges": SweepConfig}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}
_VARIABLE_FOR = ("number", "integer", "boolean")
_ABOUT = ("description", "default")
# A bound behind a validator of ours keeps pydantic's own name.
_BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}


def file_schema(kind: SchemaKind = "config") -> dict[str, Any]:
    """Return the schema of a config, of a file of faults, or of a file of ranges for a sweep."""
    content = SCHEMA_KINDS[kind].model_json_schema()
    writer = _Writer(content.get("$defs", {}), has_variables=kind != "faults")
    for model in (content, *content.get("$defs", {}).values()):
        model.pop("title", None)
        model["description"] = " ".join(model["description"].split())
        for name, schema in model.get("properties", {}).items():
            model["properties"][name] = writer.as_written(schema)
    return {"$schema": _DIALECT, "title": f"microlev {kind}", **content}


class _Writer:
    """Turns what the model takes into what may stand in a file."""

    def __init__(self, models: dict[str, Any], *, has_variables: bool) -> None:
        self._models, self._has_variables = models, has_variables

    def as_written(self, schema: dict[str, Any]) -> dict[str, Any]:
        about = {key: schema[key] for key in _ABOUT if key in schema}
        plain = {key: each for key, each in schema.items() if key not in (*_ABOUT, "title")}
        choices = [self._inside(each) for each in plain.pop("anyOf", [])] or [self._inside(plain)]
        refs = [each["$ref"].rpartition("/")[2] for each in choices if "$ref" in each]
        if refs:
            about.setdefault("description", " ".join(self._models[refs[0]]["description"].split()))
            if {"type": "null"} not in choices:
                choices.append({"type": "null"})
        if all(each.get("type") in ("string", "null") for each in choices) and isinstance(about.get("default"), int):
            del about["default"]  # a length of time: what it is in ns is not what a file says
        if self._has_variables and any(each.get("type") in _VARIABLE_FOR for each in choices):
            choices.append(_VARIABLE)
        return (choices[0] if len(choices) == 1 else {"anyOf": choices}) | about

    def _inside(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a schema by JSON schema's own words, the entries of a list or of a free mapping as written."""
        inside = {}
        for key, each in schema.items():
            is_entry = key in ("items", "additionalProperties") and isinstance(each, dict)
            inside[_BOUNDS.get(key, key)] = self.as_written(each) if is_entry else each
        return inside
