"""`microlev alerts`: find out whether messages arrive, before they matter."""

from pathlib import Path
from typing import Annotated, Any

import typer

EXIT_NOT_DELIVERED = 1
EXIT_NOBODY = 2
PATIENCE_S = 30.0

alerts = typer.Typer(
    name="alerts",
    help="Try who is told when something happens.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@alerts.callback()
def _group() -> None:
    pass  # with one command alone Typer would leave its name out


@alerts.command("test")
def try_urls(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The config file.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be sent, and send nothing.")] = False,
) -> int:
    """Send a test message to every address of `alerts.urls`.

    A line for each: whether it was taken, or why not. Exits with 1 when one was not, and with 2 when there is none.
    """
    import os
    import time

    from bot.alerts.redaction import Redaction
    from bot.config import load_config
    from bot.net.alerting import run_composer
    from bot.net.apprise_url import apprise_urls

    loaded = load_config(config, os.environ, needs_account=False)
    urls = apprise_urls(loaded)
    if not urls:
        typer.echo(f"{config}: alerts.urls: names no address, so nobody is told; see docs/alerts.md", err=True)
        return EXIT_NOBODY
    composer = run_composer(loaded, Redaction())
    title, text = composer.say("test.title"), composer.say("test.text")
    message = composer.alert("test", "test", "info", title, text, time.time_ns())
    if dry_run:
        typer.echo(f"{message.title}\n{message.text}")
        for url in urls:
            typer.echo(f"to {url.name}")
        return 0
    results = _delivered(urls, message)
    for url, why in zip(urls, results, strict=True):
        typer.echo(f"{url.name}: {why or 'ok'}")
    return EXIT_NOT_DELIVERED if any(results) else 0


def _delivered(urls: Any, message: Any) -> list[str]:
    """Return why each message was not taken, "" for one that was; all at once, in threads that nothing waits for."""
    import threading
    import time

    results = [f"no answer within {PATIENCE_S:g} s"] * len(urls)

    def deliver(number: int) -> None:
        results[number] = urls[number].deliver(message.title, message.text, message.severity).why

    threads = [threading.Thread(target=deliver, args=(number,), daemon=True) for number in range(len(urls))]
    until_s = time.monotonic() + PATIENCE_S
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(until_s - time.monotonic(), 0.0))
    return list(results)
