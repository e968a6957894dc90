"""The import rule of `docs/architecture.md`: its tables, and what a module's source does against them."""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# What a sans-IO module may not touch, by the name it has after imports are resolved. A name covers what is below it.
_BANNED: dict[str, tuple[str, ...]] = {
    "clock": ("time", "sched", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today"),
    "randomness": ("random", "numpy.random", "secrets", "uuid.uuid1", "uuid.uuid4", "os.urandom"),
    "files": ("open", "io.open", "pathlib.Path", "shutil", "tempfile", "sqlite3", "glob", "mmap", "fileinput"),
    "environment": ("os.environ", "os.getenv", "sys.argv", "platform", "getpass"),
    "printing": ("print", "input", "sys.stdout", "sys.stderr", "logging"),
    "network or threads": ("twisted", "socket", "ssl", "asyncio", "selectors", "threading", "multiprocessing",
                           "subprocess", "concurrent", "signal", "urllib", "http"),
    "loads code": ("importlib",),
}  # fmt: skip
_BANNED["clock"] += ("datetime.date.today",)
_BANNED["files"] += ("os.open", "os.replace", "os.remove", "os.rename", "os.fsync", "os.unlink", "os.path", "os.mkdir")
# Naming these (as a type) is harmless; calling them is not, unless the call states a seed.
_SEEDED = ("random.Random", "numpy.random.default_rng", "numpy.random.Generator", "numpy.random.PCG64")
_TYPES = (*_SEEDED, "pathlib.Path")
# Files are also reached through a path that somebody else has made.
_FILE_METHODS = {"read_text", "write_text", "read_bytes", "write_bytes", "iterdir", "mkdir", "unlink", "open"}


@dataclass(frozen=True)
class Row:
    """What one package may import."""

    grants: tuple[str, ...]
    sans_io: bool


def read_tables(markdown: str) -> tuple[dict[str, Row], dict[str, set[str]]]:
    """Return the rows by package, and the declared exceptions by module."""
    rows: dict[str, Row] = {}
    exceptions: dict[str, set[str]] = {}
    header = ""
    for line in markdown.splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            header = ""
        elif not header:
            header = cells[0]
        elif not set(line) <= set("|- "):
            if header == "package":
                rows[cells[0]] = Row(tuple(cells[1].split(", ")), {"yes": True, "no": False}[cells[2]])
            elif header == "module":
                exceptions.setdefault(cells[0], set()).add(cells[1])
    return rows, exceptions


def row_for(module: str, rows: Mapping[str, Row]) -> str | None:
    """Return the name of the longest row that covers a module."""
    covering = [package for package in rows if is_within(module, package)]
    return max(covering, key=len, default=None)


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def imported_modules(
    module: str, tree: ast.AST, known: set[str], is_package: bool = False
) -> Iterator[tuple[int, str]]:
    """Yield (line, module) for each import, however deep it stands. `known` are the project's own modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(module, node, is_package)
            for alias in node.names:
                child = f"{source}.{alias.name}"
                yield node.lineno, child if child in known else source


def _absolute(module: str, node: ast.ImportFrom, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parents = module.split(".")
    kept = parents[: len(parents) - node.level + (1 if is_package else 0)]
    return ".".join([*kept, *([node.module] if node.module else [])])


def import_violations(module: str, tree: ast.AST, rows: Mapping[str, Row], known: set[str]) -> list[str]:
    """Return what a module imports without a grant, one line each."""
    package = row_for(module, rows)
    granted = (*rows[package].grants, package) if package else ()
    found = []
    is_package = any(is_within(other, module) and other != module for other in known)
    for line, imported in imported_modules(module, tree, known, is_package):
        top = imported.partition(".")[0]
        # The bare package `bot` holds the version and nothing else.
        allowed = top in sys.stdlib_module_names or imported == "bot" or any(is_within(imported, g) for g in granted)
        if not allowed:
            found.append(f"{module}:{line} imports {imported}; the row of {package} does not grant it")
    return found


def io_violations(module: str, tree: ast.AST) -> list[tuple[str, str]]:
    """Return (kind, line of text) for everything in a module that sans-IO code may not touch."""
    names = _bindings(tree)
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found = []
    for node in ast.walk(tree):
        # Only the whole of a dotted name counts, so that numpy.random.default_rng(7) is not taken for numpy.random.
        if not isinstance(node, ast.Name | ast.Attribute) or id(node) in inner:
            continue
        name, call = _resolved(node, names), calls.get(id(node))
        if name in _TYPES and call is None:
            continue
        if name in _SEEDED and call is not None and (call.args or call.keywords):
            continue
        if call is not None and isinstance(node, ast.Attribute) and node.attr in _FILE_METHODS:
            found.append(("files", f"{module}:{node.lineno} calls .{node.attr}() (files)"))
        for kind, banned in _BANNED.items():
            if name is not None and any(is_within(name, ban) for ban in banned):
                found.append((kind, f"{module}:{node.lineno} uses {name} ({kind})"))
    return found


def _bindings(tree: ast.AST) -> dict[str, str]:
    names = {name: name for name in ("open", "print", "input")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _resolved(node: ast.AST, names: Mapping[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        parent = _resolved(node.value, names)
        return f"{parent}.{node.attr}" if parent else None
    return None
