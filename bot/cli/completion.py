"""Completion of a shell: `--show-completion SHELL` and `--install-completion SHELL`, for a shell that is named.

Without a name Typer finds out which shell it was started from, and does the same.
"""

from collections.abc import Sequence

import typer

SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
_SHOW, _INSTALL = "--show-completion", "--install-completion"
_PROGRAM, _VARIABLE = "microlev", "_MICROLEV_COMPLETE"


def complete_for(arguments: Sequence[str]) -> int | None:
    """Do what the command line asks of completion; return the exit code, None when it is about something else.

    Raises: typer.BadParameter for a shell that cannot be served.
    """
    option, shell = _asked(arguments)
    if option is None or shell is None:
        return None
    if shell not in SHELLS:
        raise typer.BadParameter(f"there is no completion for {shell!r}; there is for {', '.join(SHELLS)}")
    from typer.completion import get_completion_script, install  # type: ignore[attr-defined]

    if option == _SHOW:
        typer.echo(get_completion_script(prog_name=_PROGRAM, complete_var=_VARIABLE, shell=shell))
        return 0
    _, path = install(shell=shell, prog_name=_PROGRAM, complete_var=_VARIABLE)
    typer.echo(f"completion for {shell} is in {path}; it works in terminals that are opened from now on")
    return 0


def _asked(arguments: Sequence[str]) -> tuple[str | None, str | None]:
    words = list(arguments)
    if len(words) == 1:
        words = words[0].split("=", 1)
    is_ours = len(words) == 2 and words[0] in (_SHOW, _INSTALL)
    return (words[0], words[1]) if is_ours else (None, None)
