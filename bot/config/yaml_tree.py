"""YAML text to plain Python values, with the line of every key, `${NAME}` filled in, and no duplicate keys.

Keys are taken as written: YAML 1.1 would read the symbol names NO and ON as false and true.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

import yaml

from bot.config.errors import ConfigError
from bot.config.source import ConfigSource, Key

# `${NAME}` is not legal YAML inside `{…}`, yet everybody writes it there: two private characters stand for the braces
# while the text is parsed.
_WRITTEN = re.compile(r"\$\{([^{}\n]*)\}")
_OPEN, _CLOSE = "\ue000", "\ue001"
_VARIABLE = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class FromEnvironment(str):
    """Text that came from the environment, at least in part: an error must not show it."""

    __slots__ = ()


def read_tree(
    text: str, name: str, environ: Mapping[str, str], *, may_be_unset: Collection[Key] = (), what: str = "config"
) -> tuple[dict[str, Any], ConfigSource]:
    """Return the mapping that a YAML text holds, and where its keys stand.

    Args: `name` and `what` it is are shown in errors; `environ` answers `${NAME}`; a key of `may_be_unset`, or under
        one, is null when its variable is not set.
    Raises: ConfigError for text that is not YAML, not one mapping, has a key twice, or names a missing variable.
    """
    source = ConfigSource(name)
    try:
        root = yaml.compose(_WRITTEN.sub(rf"{_OPEN}\1{_CLOSE}", text), Loader=yaml.SafeLoader)
        if root is None:
            raise ConfigError(f"{name}:1: config: is empty; it needs at least `symbols`")
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(f"{name}:{root.start_mark.line + 1}: {what}: should be `key: value` lines")
        tree = _Reader(source, environ, may_be_unset).mapping(root, (), ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1 if mark else 1}"
        raise ConfigError(f"{where}: {what}: is not valid YAML: {error.problem or error.context}") from None
    except RecursionError:
        raise ConfigError(f"{name}:1: {what}: is nested too deeply") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}:1: {what}: is not valid YAML: {error}") from None
    return tree, source


class _Reader:
    """Walks the composed nodes; PyYAML's own constructor would drop the lines and accept a key twice."""

    def __init__(self, source: ConfigSource, environ: Mapping[str, str], may_be_unset: Collection[Key]) -> None:
        self._source = source
        self._environ = environ
        self._may_be_unset = may_be_unset
        self._constructor = yaml.SafeLoader("")

    def mapping(self, node: yaml.MappingNode, key: Key, parents: tuple[int, ...]) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{self._source.name}:{line}: {'.'.join(key) or 'config'}: a key should be one word")
            word = key_node.value.replace(_OPEN, "${").replace(_CLOSE, "}")
            child_key = (*key, word)
            if word in tree:
                first = self._source.lines[child_key]
                raise ConfigError(
                    f"{self._source.name}:{line}: {'.'.join(child_key)}: stands here and on line {first}; keep one"
                )
            self._source.lines[child_key] = line
            tree[word] = self._read(child, child_key, (*parents, id(node)))
        return tree

    def _read(self, node: yaml.Node, key: Key, parents: tuple[int, ...]) -> Any:
        if id(node) in parents:
            raise self._source.error_at(key, "contains itself; write the values out instead of the alias")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, key, parents)
        if isinstance(node, yaml.SequenceNode):
            parents = (*parents, id(node))
            return [self._item(child, (*key, str(index)), parents) for index, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and _OPEN in node.value:
            names = _VARIABLE.findall(node.value)
            may_be_unset = any(key[: len(lenient)] == lenient for lenient in self._may_be_unset)
            if may_be_unset and any(_NAME.fullmatch(n) and not self._environ.get(n) for n in names):
                return None
            return self._filled(node.value, key)
        try:
            return self._constructor.construct_object(node)
        except ValueError:  # for example 2026-13-45, which YAML takes for a date
            raise self._source.error_at(key, "is not a value YAML can read; if it is text, put it in quotes") from None

    def _item(self, node: yaml.Node, key: Key, parents: tuple[int, ...]) -> Any:
        self._source.lines[key] = node.start_mark.line + 1
        return self._read(node, key, parents)

    def _filled(self, text: str, key: Key) -> str:
        def answer(match: re.Match[str]) -> str:
            name = match.group(1)
            if not _NAME.fullmatch(name):
                raise self._source.error_at(key, f"${{{name}}} names no variable; write ${{NAME}}")
            value = self._environ.get(name, "")
            if not value:
                state = "empty" if name in self._environ else "not set"
                raise self._source.error_at(
                    key, f"the environment variable {name} is {state}; set it, or write a value in place of ${{{name}}}"
                )
            return value

        return FromEnvironment(_VARIABLE.sub(answer, text))
