"""A report of an examination that a person can send to somebody else: no secret in it, account numbers masked."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bot.doctor.findings import Check, Finding, Findings

_KEPT_DIGITS = 2
_REMOVED = "[removed]"


class Mask:
    """Takes out of texts what must not leave the house.

    Args: `secrets` are removed wholly; of `numbers` (account ids, logins) the last two digits stay; `paths` maps what
        names a person's folders to what stands for them.
    """

    def __init__(self, secrets: Iterable[str], numbers: Iterable[int], paths: Mapping[str, str] | None = None) -> None:
        whole = {secret: _REMOVED for secret in secrets if secret}
        whole |= {path: short for path, short in (paths or {}).items() if path}
        # The longest first: what holds another must not be cut in half by it.
        self._whole = sorted(whole.items(), key=lambda pair: -len(pair[0]))
        self._numbers = [
            (re.compile(rf"(?<!\d){number}(?!\d)"), masked(number)) for number in sorted(set(numbers), reverse=True)
        ]

    def __call__(self, content: Any) -> Any:
        """Return the same content with nothing in it that must stay here: text, numbers, lists and mappings of them."""
        if isinstance(content, str):
            for found, stand_in in self._whole:
                content = content.replace(found, stand_in)
            for pattern, stand_in in self._numbers:
                content = pattern.sub(stand_in, content)
            return content
        if isinstance(content, Mapping):
            return {self(key): self(value) for key, value in content.items()}
        if isinstance(content, list | tuple):
            return [self(one) for one in content]
        if isinstance(content, int) and not isinstance(content, bool):
            hidden = self(str(content))
            return content if hidden == str(content) else hidden
        return content


def masked(number: int) -> str:
    """Return a number with all but its last two digits hidden."""
    digits = str(number)
    return "*" * max(0, len(digits) - _KEPT_DIGITS) + digits[-_KEPT_DIGITS:]


def line_of(finding: Finding) -> dict[str, Any]:
    """Return a finding as the object of a JSON line."""
    if isinstance(finding, Check):
        name, result = finding.name, finding.result
        return {"type": "check", "name": name, "result": result, "text": finding.text, "value": finding.value}
    return {"type": "measurement", "name": finding.name, "value": finding.value, "text": finding.text}


def summary_of(findings: Findings) -> dict[str, Any]:
    """Return the last JSON line: how many checks had each result."""
    return {"type": "summary", **findings.counts()}


def json_report(findings: Findings, mask: Mask) -> str:
    """Return the report as JSON lines."""
    lines = [*map(line_of, findings.all), summary_of(findings)]
    return "".join(json.dumps(mask(line), allow_nan=False) + "\n" for line in lines)


def markdown_report(findings: Findings, mask: Mask, headings: Mapping[str, str]) -> str:
    """Return the report as Markdown; `headings` are facts about the run, such as the version and the time."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in findings.counts().items())
    lines = ["# microlev doctor", ""]
    lines += [f"- {name}: {mask(said)}" for name, said in headings.items()]
    lines += [f"- result: {counts}", "", "## Checks", "", "| result | check | found |", "|---|---|---|"]
    lines += [f"| {c.result} | {_cell(mask(c.name))} | {_cell(mask(c.text))} |" for c in findings.checks]
    lines += ["", "## Measurements", "", "| what | value | seen |", "|---|---|---|"]
    for finding in findings.all:
        if not isinstance(finding, Check):
            value = json.dumps(mask(finding.value), allow_nan=False)
            lines.append(f"| {_cell(mask(finding.name))} | {_cell(value)} | {_cell(mask(finding.text))} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
