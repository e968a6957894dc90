"""`microlev check` and `microlev schema`: what a configuration means, without connecting anywhere."""

from pathlib import Path
from typing import Annotated

import typer


def check(config: Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file.", show_default=False)]) -> None:
    """Validate a config offline; print what is in force."""
    import os

    import yaml

    from bot.assembly import engine_settings
    from bot.config import check_supported, load_config, redacted
    from bot.net.apprise_url import check_urls

    loaded = load_config(config, os.environ)
    warnings = check_supported(loaded)
    # A parameter no strategy has is found here, not when the market is open; and a function that cannot work.
    note = engine_settings(loaded, run_id="check").strategy.note
    if note is not None:
        warnings.append(f"strategy: {note}")
    if (missing := check_urls(loaded)) is not None:
        warnings.append(missing)
    typer.echo(yaml.safe_dump(redacted(loaded), sort_keys=False, allow_unicode=True, width=120), nl=False)
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)


def schema(
    kind: Annotated[
        str, typer.Argument(metavar="config|faults|ranges", help="Of which kind of file.", show_default=False)
    ] = "config",
) -> None:
    """Print the JSON schema of a config, for an editor.

    Any editor that knows YAML completes and checks keys by it; there is one of each kind of file.
    """
    import json

    from bot.config.schema import SCHEMA_KINDS, file_schema

    if kind not in SCHEMA_KINDS:
        raise typer.BadParameter(f"{kind!r} is none of {', '.join(SCHEMA_KINDS)}", param_hint="config|faults|ranges")
    typer.echo(json.dumps(file_schema(kind), indent=2, ensure_ascii=False))
