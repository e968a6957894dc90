"""The documents are true: commands parse, whole configs load, Python runs, links lead somewhere, versions agree."""

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import bot
from bot.cli.completion import SHELLS as SHELLS_COMPLETED
from bot.cli.main import app
from bot.config import parse_config
from bot.net.fault_script import parse_script
from bot.sim.listing import default_symbols

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
# `python no-run` marks a block that needs what the test has not, such as a journal: then only its imports are run.
_FENCE = re.compile(r"^( *)```(\w+(?: no-run)?)[^\n]*\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
SHELLS = ("console", "bash", "sh", "shell")


class _Anything(dict[str, str]):
    """An environment in which every variable is set, to something that serves as text and as a number."""

    def get(self, key: str, default: Any = None) -> str:
        return "1"

    def __missing__(self, key: str) -> str:
        return "1"


def _blocks(*languages: str) -> list[Any]:
    return list(_found_blocks(*languages))


def _found_blocks(*languages: str) -> Iterator[Any]:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            if match[2] in languages:
                line = text.count("\n", 0, match.start()) + 2
                name = f"{document.relative_to(ROOT)}:{line}"
                yield pytest.param("\n" * (line - 1) + match[3], id=name)


def commands_in(block: str, language_has_prompts: bool) -> Iterator[str]:
    """Yield the command lines of a shell block: after `$ ` when prompts are shown, else every line."""
    for line in block.replace("\\\n", " ").splitlines():
        if language_has_prompts and not line.lstrip().startswith("$ "):
            continue
        if words := line.strip().removeprefix("$ ").partition("#")[0].strip():
            yield words


def own_arguments(command: str) -> list[str] | None:
    """Return what a command line gives to `microlev`, or None when it runs something else."""
    words = shlex.split(command.split("|")[0].split("&")[0].split(">")[0])
    while words and (re.fullmatch(r"[A-Z_]+=.*", words[0]) or words[:2] == ["uv", "run"]):
        words = words[2:] if words[0] == "uv" else words[1:]
    if words[:1] == ["microlev"]:
        return words[1:]
    if words[:3] == ["python", "-m", "bot"]:
        return words[3:]
    if words[:2] == ["python", "scripts/dev.py"]:
        name, *rest = words[2:] or ["--help"]
        assert name in ("demo", "test", "check", "microlev", "run", "lock", "--help"), f"dev.py has no {name!r}"
        return {"demo": ["demo", *rest], "microlev": rest}.get(name)
    return None


def parse(arguments: list[str]) -> None:
    """Parse a `microlev` command line without running it. Raises: typer's usage error when it does not fit."""
    if arguments and arguments[0] in ("--install-completion", "--show-completion"):
        assert arguments[1:] == [] or (arguments[1] in SHELLS_COMPLETED and len(arguments) == 2)
        return  # Typer does these while it parses: into the profile of whoever runs the tests
    group: Any = typer.main.get_command(app)
    try:
        context = group.make_context("microlev", list(arguments))
        while context.command is group or hasattr(context.command, "commands"):
            rest = [*context._protected_args, *context.args]
            name, command, rest = context.command.resolve_command(context, rest)
            context = command.make_context(name, rest, parent=context)
    except typer.Exit:
        pass  # --help and --version end here


@pytest.mark.parametrize("block", _blocks(*SHELLS))
def test_a_command_in_a_document_is_one_the_program_has(block: str) -> None:
    has_prompts = re.search(r"^\s*\$ ", block, re.MULTILINE) is not None
    for command in commands_in(block, has_prompts):
        arguments = own_arguments(command)
        if arguments is not None:
            parse(arguments)


@pytest.mark.parametrize("block", _blocks("yaml", "yml"))
def test_a_whole_config_in_a_document_loads(block: str) -> None:
    if re.search(r"^symbols:", block, re.MULTILINE):
        parse_config(block, "document", _Anything())


@pytest.mark.parametrize("block", _blocks("yaml", "yml"))
def test_faults_in_a_document_are_ones_the_venue_can_play(block: str) -> None:
    if re.search(r"^(faults|random):", block, re.MULTILINE):
        parse_script(block, "document", [spec.name for spec in default_symbols()])


@pytest.mark.parametrize("block", _blocks("python"))
def test_python_in_a_document_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "document", "exec"), {"__name__": "document"})


@pytest.mark.parametrize("block", _blocks("python no-run"))
def test_python_that_is_only_shown_compiles_and_imports_what_exists(block: str) -> None:
    tree = ast.parse(block)
    tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(tree, "document", "exec"), {"__name__": "document"})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_to_a_file_leads_somewhere(document: Path) -> None:
    links = [link.partition("#")[0] for link in _LINK.findall(document.read_text(encoding="utf-8"))]
    local = [link for link in links if link and "://" not in link and not link.startswith("mailto:")]
    assert [link for link in local if not (document.parent / link).exists()] == []


@pytest.mark.parametrize(
    "arguments", [["chekc"], ["check"], ["check", "--fast", "x.yaml"], ["schema", "too", "many"]], ids=" ".join
)
def test_the_parser_of_documented_commands_refuses_what_does_not_exist(arguments: list[str]) -> None:
    with pytest.raises(typer.TyperException):
        parse(arguments)


def test_commands_are_found_behind_prompts_variables_and_uv() -> None:
    block = "$ A=1 uv run microlev check x.yaml  # why\noutput\n$ python scripts/dev.py microlev schema | head\n$ ls\n"
    found = [own_arguments(command) for command in commands_in(block, language_has_prompts=True)]
    assert found == [["check", "x.yaml"], ["schema"], None]


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1] == bot.__version__ == project["version"]


def test_the_lock_holds_every_dependency_with_a_hash_and_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    entries = re.split(r"\n(?=\S)", lock.strip())
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []
    pinned = {entry.partition("==")[0] for entry in entries}
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*content["project"]["dependencies"], *content["dependency-groups"]["dev"]]
    names = {re.split(r"[\[<>=; ]", requirement)[0].lower() for requirement in wanted}
    assert names - pinned == set()


# -- two languages ----------------------------------------------------------------------------------------------------

TRANSLATED = [(ROOT / "README.md", ROOT / "README.ja.md")]
TRANSLATED += [(ROOT / "docs" / "getting_started.md", ROOT / "docs" / "getting_started.ja.md")]
_WIDE = r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]"


def _slugs(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_anchor_of_a_link_is_a_heading_there(document: Path) -> None:
    lost = []
    for link in _LINK.findall(document.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        there = document.parent / path if path else document
        if anchor and "://" not in link and there.suffix == ".md" and anchor not in _slugs(there):
            lost.append(link)
    assert lost == []


def _commands(document: Path) -> set[str]:
    blocks = _FENCE.finditer(document.read_text(encoding="utf-8"))
    return {line for match in blocks if match[2] in SHELLS for line in re.findall(r"^\$ (.+)$", match[3], re.MULTILINE)}


@pytest.mark.parametrize(("english", "japanese"), TRANSLATED, ids=lambda path: path.name)
def test_a_translated_document_has_the_commands_of_the_original(english: Path, japanese: Path) -> None:
    left_out = {"python scripts/dev.py demo", "microlev explain recordings/261126235154e8ff3d.0001.journal.zst"}
    assert _commands(english) - left_out <= _commands(japanese)


@pytest.mark.parametrize(("english", "japanese"), TRANSLATED, ids=lambda path: path.name)
def test_a_translated_document_says_the_same_of_every_way_to_run_it(english: Path, japanese: Path) -> None:
    ways = []
    for document in (english, japanese):
        rows = re.findall(
            r"^\| (`microlev .*?|`environment: .*?) \|", document.read_text(encoding="utf-8"), re.MULTILINE
        )
        ways.append([frozenset(re.findall(r"`([^`]+)`", row)) for row in rows])
    assert ways[0] == ways[1]


@pytest.mark.parametrize("document", [japanese for _, japanese in TRANSLATED], ids=lambda path: path.name)
def test_a_japanese_sentence_is_not_broken_over_lines(document: Path) -> None:
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    assert re.findall(rf"{_WIDE}\n{_WIDE}", text) == []  # shown as a space in the middle of it
