"""Read a fault file: YAML to the typed model, or one line that says what to change."""

from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bot.config.errors import ConfigError
from bot.config.fault_model import WHAT_KEYS, Entry, FaultFile
from bot.config.loading import nearest, shown
from bot.config.source import Key
from bot.config.source_text import read_yaml_text
from bot.config.yaml_tree import read_tree

_TRIGGERS = ("at", "every", "on_request", "on_event", "on_connect")
_LASTING = (
    "latency", "split", "merge", "silence", "slow_reader", "rate", "maintenance", "refuse_connections",
    "not_routable", "server_unreachable", "access_rights", "close_market", "trading_mode", "crossed_book",
    "empty_book", "stop_quotes", "shift", "no_depth",
)  # fmt: skip
_NEEDS_END = ("maintenance", "crossed_book", "empty_book", "stop_quotes", "shift")


def read_faults(path: Path) -> FaultFile:
    """Return the faults in a YAML file.

    Raises: ConfigError, one line with file, line and key, when the file or anything in it cannot be used.
    """
    text = read_yaml_text(path, "file of faults")
    return parse_faults(text, str(path))


def parse_faults(text: str, name: str) -> FaultFile:
    """Return the faults in a YAML text; `name` stands for the file in errors.

    Raises: ConfigError, as `read_faults`.
    """
    if all(line.strip() in ("", "---") or line.lstrip().startswith("#") for line in text.splitlines()):
        raise ConfigError(f"{name}:1: faults: is missing; the file is empty")
    tree, source = read_tree(text, name, {}, what="faults")
    problems: dict[Key, str] = {}
    try:
        file = FaultFile.model_validate(tree)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            key = tuple(str(part) for part in details["loc"])
            if details["type"] != "missing":
                key = source.written(key)
            problems.setdefault(key, _explain(details, key, tree))
    else:
        for index, entry in enumerate(file.faults):
            problems.update(_misfits(entry, ("faults", str(index)), is_random=False))
        for index, entry in enumerate(file.random.faults if file.random is not None else ()):
            problems.update(_misfits(entry, ("random", "faults", str(index)), is_random=True))
        if not file.faults and file.random is None:
            problems["faults",] = "is missing or empty; it needs at least one fault, or a `random` block"
        file._source = source
    if problems:
        first = min(problems, key=source.line)
        raise source.error_at(first, problems[first], more=len(problems) - 1)
    return file


def _misfits(entry: Entry, key: Key, *, is_random: bool) -> dict[Key, str]:
    """Return what does not fit together in one fault."""
    found: dict[Key, str] = {}
    names = entry.names
    if len(names) != 1:
        told = f"names {' and '.join(names)}; make a fault of its own of each" if names else (
            f"does not say what goes wrong; give one of: {', '.join(WHAT_KEYS)}"
        )  # fmt: skip
        return {key: told}
    name = names[0]
    given = [trigger for trigger in _TRIGGERS if getattr(entry, trigger) is not None]
    times = [trigger for trigger in given if trigger in ("at", "every")]
    if is_random and (times or entry.on_connect is not None):
        found[*key, [*times, "on_connect"][0]] = "does not fit into `random`: chance says when; take it out"
    elif not is_random and not given:
        found[key] = f"does not say when; give one of: {', '.join(_TRIGGERS)}"
    elif len(times) > 1 or len(given) - len(times) > 1 or (times and entry.on_connect is not None):
        found[*key, given[-1]] = f"does not go with `{given[0]}`; keep one of them"
    if entry.jitter and not times:
        found[*key, "jitter"] = "goes with `at` or `every` only"
    if entry.every is not None and entry.jitter * 2 > entry.every:
        found[*key, "jitter"] = "should be at most half of `every`"
    if entry.at is not None and entry.jitter > entry.at:
        found[*key, "jitter"] = "should not be longer than `at`"
    if entry.kind is not None and "on_event" not in given:
        found[*key, "kind"] = "goes with `on_event` only"
    for counting in ("nth", "after"):
        if counting in entry.model_fields_set and not {"on_request", "on_event"} & set(given):
            found[*key, counting] = "goes with `on_request` or `on_event` only"
    if entry.after and times:
        found[*key, "after"] = "does not go with `at` or `every`; they say the same"
    if entry.lasts is not None and name not in _LASTING:
        found[*key, "for"] = f"does not go with `{name}`, which happens once; it goes with: {', '.join(_LASTING)}"
    if entry.lasts is None and name in _NEEDS_END:
        found[*key, name] = "needs an end; say for how long, for example `for: 30s`"
    if entry.symbol_change is not None and not entry.symbol_change.model_fields_set:
        found[*key, name] = f"changes nothing; give one of: {', '.join(type(entry.symbol_change).model_fields)}"
    if entry.rate is not None and not entry.rate.model_fields_set:
        found[*key, name] = f"changes nothing; give one of: {', '.join(type(entry.rate).model_fields)}"
    return found


def _explain(details: ErrorDetails, key: Key, tree: dict[str, Any]) -> str:
    """Say what is wrong with one key, and what is allowed."""
    kind = details["type"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        allowed = _allowed_keys(key[:-1])
        return f"unknown key{nearest(key[-1], allowed)}; allowed here: {', '.join(allowed)}"
    given = _lookup(tree, key)
    if kind == "model_type":
        return f"{shown(given, key)}; should hold keys of its own: {', '.join(_allowed_keys(key)) or 'none'}"
    if kind == "tuple_type":
        return f"{shown(given, key)}; should be a list"
    said = details["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    if kind == "literal_error":
        choices = str(details.get("ctx", {}).get("expected", ""))
        return f"{shown(given, key)}{nearest(str(given), choices.replace(' or ', ', ').split(', '))}; {said}"
    return f"{shown(given, key)}; {said}"


def _lookup(tree: Any, key: Key) -> Any:
    for part in key:
        if isinstance(tree, list):
            tree = tree[int(part)] if part.isdigit() and int(part) < len(tree) else None
        else:
            tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _allowed_keys(key: Key) -> list[str]:
    """Return the keys that a part of the file knows."""
    model: Any = FaultFile
    for part in key:
        if part.isdigit():
            continue
        known = {field.alias or name: field for name, field in model.model_fields.items()}
        inner = _classes(known[part].annotation) if part in known else []
        if not inner:
            return []
        model = inner[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def _classes(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [cls for part in get_args(annotation) for cls in _classes(part)]
