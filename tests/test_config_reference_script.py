"""`scripts/config_reference`: the page and the schemas are what the model says now, and the words for it."""

import importlib.machinery
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bot.config import Config
from bot.config.schema import file_schema

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "config_reference"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("config_reference_script", str(SCRIPT))
    spec = importlib.util.spec_from_loader("config_reference_script", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_page_and_the_schemas_in_the_repository_are_current(script: ModuleType) -> None:
    stale = [path.name for path, content in script.wanted_files().items() if path.read_text("utf-8") != content]
    assert stale == [], "run: python scripts/dev.py run -- python scripts/config_reference"


def test_every_key_of_every_section_has_a_row(script: ModuleType) -> None:
    lines = script.key_tables(file_schema())
    for name, field in Config.model_fields.items():
        section: Any = field.annotation
        keys = getattr(section, "model_fields", None)
        if keys is None:
            assert f"### `{name}`" in lines or any(line.startswith(f"| `{name}` |") for line in lines)
            continue
        at = lines.index(f"### `{name}`")
        end = next((i for i in range(at + 1, len(lines)) if lines[i].startswith("#")), len(lines))
        rows = [line.split("`")[1] for line in lines[at:end] if line.startswith("| `")]
        assert rows == list(keys)
    assert {"#### `risk.leverage_bands`", "#### `risk.leverage_windows`", "#### `sweep.ranges`"} <= set(lines)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "number above 0 to 1"),
        ({"type": "number", "exclusiveMinimum": 0, "minimum": 0.1}, "number from 0.1"),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "null"}]}, "number or `null`"),
        ({"anyOf": [{"type": "number"}, {"const": "auto", "type": "string"}]}, "number or `auto`"),
        ({"enum": ["a", "b", "c"], "type": "string"}, "`a`, `b` or `c`"),
        ({"type": "array", "items": {"type": "string", "format": "password"}}, "list, each text (a secret)"),
        ({"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/X"}, {"type": "null"}]}}, "list of entries"),
        ({"type": "object", "additionalProperties": {"$ref": "#/$defs/X"}}, "names, each with keys of its own"),
        ({"type": "object", "additionalProperties": True}, "names and values"),
        ({"type": "string", "maxLength": 9}, "text, 9 characters at most"),
        ({"type": "string", "format": "date-time"}, "moment with its time zone"),
        ({"type": "boolean"}, "`true` or `false`"),
    ],
)
def test_what_a_key_takes_is_said_in_words(script: ModuleType, schema: dict[str, Any], words: str) -> None:
    assert script.takes(schema) == words


def test_defaults_are_as_a_file_says_them(script: ModuleType) -> None:
    shown = [script.shown_default(x) for x in (30.0, 0.25, None, True, "auto", [])]
    assert shown == ["`30`", "`0.25`", "`null`", "`true`", "`auto`", "`[]`"]
    (row,) = [line for line in script.key_tables(file_schema()) if line.startswith("| `leverage_windows`")]
    assert "`[]`" in row


def test_only_what_lies_between_the_marks_changes(script: ModuleType) -> None:
    page = f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n"
    assert script.page_with(page, ["new"]) == f"before\n{script.BEGIN}\n\nnew\n{script.END}\nafter\n"
    with pytest.raises(SystemExit, match="has no"):
        script.page_with("nothing", [])
