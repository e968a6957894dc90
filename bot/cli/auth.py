"""`microlev auth`: log in, refresh the token, list the accounts it opens."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.options import duration

if TYPE_CHECKING:
    from bot.config import ClientSecrets, Config, Token
    from bot.ctrader.granted_accounts import GrantedAccounts

EXIT_NOT_AUTHORISED = 3
EXIT_UNREACHABLE = 4
EXIT_INTERRUPTED = 130
DEFAULT_PORT = 8765
LIST_PATIENCE_S = 10.0
"""What a finished login waits for the list of accounts."""

auth = typer.Typer(
    name="auth",
    help="Log in, refresh the token, list the accounts it opens.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="The config file.", show_default=False)]
_Json = Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")]


@auth.command()
def login(
    config: _ConfigPath,
    port: Annotated[
        int | None,
        typer.Option(
            help=f"Port of this machine that the browser comes back to (default {DEFAULT_PORT}).", min=0, max=65_535
        ),
    ] = None,
    scope: Annotated[str, typer.Option(help="trading, or accounts (look only).")] = "trading",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, open no browser.")] = False,
    redirect_uri: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Redirect URI as registered for the application, if it is another one."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait for the answer.", min=1.0, callback=duration)
    ] = 300.0,
    allow_missing_state: Annotated[
        bool, typer.Option("--allow-missing-state", help="Take an answer without `state`; see docs/authorisation.md.")
    ] = False,
    json: _Json = False,
) -> int:
    """Let the bot into your accounts, by consent in the browser.

    The token that comes of it is written to the token file. The redirect URI, http://localhost:8765/ unless told
    otherwise, must be registered for your application. Without a browser on this machine, open the address
    elsewhere and paste the address of the page it ends on.
    """
    from bot.config import client_secrets
    from bot.config.token_file import check_replaceable
    from bot.net.login import Login, LoginFailed
    from bot.net.oauth import SCOPES, consent_url
    from bot.net.oauth_redirect import redirect_address
    from bot.net.single_task import run_task

    if scope not in SCOPES:
        raise typer.BadParameter(f"must be {' or '.join(SCOPES)}", param_hint="--scope")
    try:
        redirect = redirect_address(redirect_uri or f"http://localhost:{DEFAULT_PORT if port is None else port}/")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--redirect-uri") from None
    loaded = _loaded(config)
    secrets = client_secrets(loaded)
    base = _oauth_base(loaded)
    path = loaded.credentials.token_file
    check_replaceable(path)
    if loaded.credentials.access_token is not None:
        _note("credentials.access_token is given and wins over the token file; take it out to use what you get here")
    from twisted.internet import reactor

    client = _oauth_client(loaded, reactor, base, secrets)
    waiting = Login(reactor, client, path, redirect, port=port, allow_missing_state=allow_missing_state, tell=_note)
    interrupted: list[bool] = []

    def begin() -> Any:
        waiting.start()
        url = consent_url(base, secrets.client_id, waiting.redirect_uri, scope, waiting.state)
        _invite(waiting, url, json=json, no_browser=no_browser)
        return waiting.wait(timeout)

    def interrupt() -> None:
        interrupted.append(True)
        waiting.stop(LoginFailed(EXIT_INTERRUPTED, "interrupted; nothing was changed"))

    def token_is_there(token: "Token") -> Any:
        _tell_token(path, token, scope, json=json)
        return _list_in_passing(reactor, loaded, secrets, token, config, json=json)

    try:
        run_task(reactor, lambda: begin().addCallback(token_is_there), interrupt)
    except LoginFailed as failed:
        _note(str(failed))
        return failed.exit_code
    return EXIT_INTERRUPTED if interrupted else 0


@auth.command()
def refresh(config: _ConfigPath, json: _Json = False) -> int:
    """Exchange the token in the token file for a new one, now. A running bot does this by itself in time."""
    from bot.config import ConfigError, client_secrets
    from bot.config.token_file import TokenLock, check_replaceable, read_token_file, write_token_file
    from bot.net.oauth import REQUEST_TIMEOUT_S, OAuthRefused, OAuthUnreachable
    from bot.net.single_task import run_task

    loaded = _loaded(config)
    if loaded.credentials.access_token is not None:
        raise loaded.error_at(
            "credentials.access_token",
            "is given, and such a token is never refreshed; take it out to use the token file",
        )
    secrets = client_secrets(loaded)
    base = _oauth_base(loaded)
    path = loaded.credentials.token_file
    before = read_token_file(path)
    from twisted.internet import reactor

    client = _oauth_client(loaded, reactor, base, secrets)
    interrupted: list[bool] = []
    with TokenLock(path, timeout_s=REQUEST_TIMEOUT_S + 5.0):
        token = read_token_file(path)
        if token != before:
            _note("another process has just refreshed the token; it is left as it is")
            _tell_token(path, token, None, json=json)
            return 0
        if token.refresh_token is None:
            _note(f"not authorised: {path} holds no refresh_token; log in again: microlev auth login {config}")
            return EXIT_NOT_AUTHORISED
        check_replaceable(path)
        old = token.refresh_token
        try:
            # An interrupt waits for the answer: the old token is dead once the server has the request.
            token = run_task(reactor, lambda: client.refresh(old), lambda: interrupted.append(True))
        except OAuthRefused as refused:
            _note(
                f"not authorised: the refresh token was refused ({refused}); log in again: microlev auth login {config}"
            )
            return EXIT_NOT_AUTHORISED
        except OAuthUnreachable as error:
            _note(f"not refreshed: {error}")
            return EXIT_UNREACHABLE
        try:
            write_token_file(path, token)
        except ConfigError as error:
            raise ConfigError(f"{error}; the old token is dead by now, so log in again when that is mended") from None
    _tell_token(path, token, None, json=json)
    return EXIT_INTERRUPTED if interrupted else 0


@auth.command()
def accounts(config: _ConfigPath, json: _Json = False) -> int:
    """List the accounts that the token opens.

    `account.id` in the config takes the column id.
    """
    from bot.config import client_secrets, load_token
    from bot.ctrader.granted_accounts import granted_accounts
    from bot.net.enquirer import EnquiryFailed, enquire

    loaded = _loaded(config)
    secrets, token = client_secrets(loaded), load_token(loaded)
    try:
        granted = enquire(loaded, secrets, granted_accounts(token.access_token))
    except EnquiryFailed as failed:
        _note(failed.text)
        return failed.exit_code
    _show_accounts(granted, loaded, json=json)
    return 0


def _loaded(path: Path) -> "Config":
    import os

    from bot.config import load_config

    return load_config(path, os.environ, needs_account=False)


def _oauth_base(config: "Config") -> str:
    from bot.net.oauth import oauth_base

    if config.venue.environment == "simulator" and config.venue.oauth_url is None:
        raise config.error_at(
            "venue.oauth_url", "is missing; for the simulator it is the oauth_url that `microlev sim` prints"
        )
    return oauth_base(config)


def _oauth_client(config: "Config", reactor: Any, base: str, secrets: "ClientSecrets") -> Any:
    from bot.net.oauth import OAuthClient
    from bot.net.trust import TrustUnavailable

    try:
        return OAuthClient(reactor, base, config.venue.ca_file, secrets)
    except TrustUnavailable as error:
        raise config.error_at("venue.ca_file", str(error)) from None


def _invite(waiting: Any, url: str, *, json: bool, no_browser: bool) -> None:
    """Show the address of the consent page, and say how the answer can come."""
    if json:
        _line({"type": "auth_url", "time": _now(), "url": url})
    else:
        print(f"Open this address in a browser, and let the application into your accounts:\n\n  {url}\n", flush=True)
    if not no_browser:
        from bot.cli.browser import open_browser

        if not open_browser(url):
            _note("no browser could be opened here; open the address yourself, on any machine")
    ways = []
    if waiting.is_listening:
        ways.append("waiting for the browser to come back")
    if waiting.reads_lines:
        ways.append("paste the address of the page it ends on, if that page shows an error")
    _note("; or ".join(ways))


def _list_in_passing(
    reactor: Any, config: "Config", secrets: "ClientSecrets", token: "Token", path: Path, *, json: bool
) -> Any:
    """List the accounts of a fresh token, if the venue can be reached soon; return a Deferred that does not fail."""
    from bot.net.account_list import ask_for_accounts
    from bot.net.enquirer import EnquiryFailed

    patience_s = min(LIST_PATIENCE_S, config.venue.connect_timeout_s)
    asked = ask_for_accounts(reactor, config, secrets, token.access_token, patience_s=patience_s)

    def not_listed(failure: Any) -> None:
        failure.trap(EnquiryFailed)
        _note(f"the accounts could not be listed ({failure.value.text}); try: microlev auth accounts {path}")

    return asked.addCallback(lambda granted: _show_accounts(granted, config, json=json)).addErrback(not_listed)


def _tell_token(path: Path, token: "Token", scope: str | None, *, json: bool) -> None:
    if json:
        expires_at = None if token.expires_at is None else round(token.expires_at)
        _line({"type": "token", "time": _now(), "token_file": str(path), "expires_at": expires_at, "scope": scope})
        return
    until = "for an unknown time"
    if token.expires_at is not None:
        until = f"until {datetime.fromtimestamp(token.expires_at, UTC):%Y-%m-%d %H:%M} UTC"
    print(f"the token is in {path}, valid {until}", flush=True)


def _show_accounts(granted: "GrantedAccounts", config: "Config", *, json: bool) -> None:
    wanted = config.account.id
    if json:
        for each in granted.accounts:
            _line(
                {
                    "type": "account",
                    "id": each.account_id,
                    "login": each.login,
                    "kind": each.kind,
                    "broker": each.broker,
                    "scope": granted.scope,
                    "configured": each.account_id == wanted,
                }
            )
    else:
        scope = {"trade": "trading", "view": "look only"}.get(granted.scope or "", "unknown")
        print(f"scope of the token: {scope}")
        rows = [("id", "login", "kind", "broker", "")]
        for each in granted.accounts:
            mark = "<- account.id of the config" if each.account_id == wanted else ""
            known = (str(each.account_id), str(each.login or "?"), each.kind or "?", each.broker or "?", mark)
            rows.append(known)
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        for row in rows:
            numbers = [row[i].rjust(widths[i]) for i in (0, 1)]
            words = [row[i].ljust(widths[i]) for i in (2, 3)]
            print("  ".join([*numbers, *words, row[4]]).rstrip(), flush=True)
    if wanted is not None and wanted not in [each.account_id for each in granted.accounts]:
        _note(f"account.id {wanted} of the config is not among them; log in again and tick it, or correct the config")


def _line(content: dict[str, Any]) -> None:
    import json

    print(json.dumps(content), flush=True)


def _note(text: str) -> None:
    typer.echo(text, err=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
