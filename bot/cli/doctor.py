"""`microlev doctor`: everything the bot relies on at this venue, checked; and what nobody documents, measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.options import duration

if TYPE_CHECKING:
    from bot.config import Config, Token
    from bot.doctor.examination import Examination
    from bot.doctor.findings import Finding
    from bot.doctor.kept_token import KeepsToken
    from bot.doctor.report import Mask

_DAY_S = 86_400
_SOON_DAYS = 3
_OVER_LISTENING_S = 240.0
"""Time for everything beside the listening, at most: each request alone may take 15 s."""

_OVER_PROVOCATIONS_S = 420.0
"""Time for `--provoke` beside its silence: three limits to exceed, each waited out for 90 s at most."""


def doctor(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The config file.")],
    json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a report to send: .json for JSON lines, else Markdown.")
    ] = None,
    demo_orders: Annotated[
        bool, typer.Option("--demo-orders", help="Also send a few smallest orders; demo accounts only.")
    ] = False,
    provoke: Annotated[
        bool,
        typer.Option(
            "--provoke",
            help="Also exceed the request limits, connect twice, refresh the token, and fall silent. The venue may "
            "block requests for minutes, end sessions of this login, or drop the connection; stop running bots "
            "before. Demo accounts only.",
        ),
    ] = False,
    seconds: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", help="How long to listen; from 45 on partly to an idle link.", min=0.0, callback=duration
        ),
    ] = 15.0,
) -> int:
    """Check all that the bot relies on at your broker.

    Connects, checks token, account, symbols, clock and margin, and measures the venue; one line each. It only reads,
    without --demo-orders and --provoke.
    """
    import os

    from bot.cli.screen import log_to_stderr
    from bot.config import load_config

    loaded = load_config(config, os.environ)
    if (demo_orders or provoke) and loaded.venue.environment == "live":
        flag = "--demo-orders" if demo_orders else "--provoke"
        raise loaded.error_at("venue.environment", f"is live: {flag} is for demo accounts only; nothing was sent")
    if report is not None and not report.absolute().parent.is_dir():
        raise typer.BadParameter(f"the folder of {report} does not exist", param_hint="--report")
    log_to_stderr()
    return _Visit(loaded, json=json, demo_orders=demo_orders, provoke=provoke, seconds=seconds).run(report)


class _Visit:
    """One run of the command."""

    def __init__(self, config: "Config", *, json: bool, demo_orders: bool, provoke: bool, seconds: float) -> None:
        from bot.cli.progress import Progress
        from bot.doctor.findings import Findings

        self._config, self._json, self._seconds = config, json, seconds
        self._demo_orders, self._provoke = demo_orders, provoke
        self._progress = Progress()
        self._findings: Findings = Findings(self._tell)
        self._secrets: list[str] = []
        self._numbers: list[int] = [config.account.id] if config.account.id is not None else []

    def run(self, report: Path | None) -> int:
        """Examine, sum up, write the report; return the exit code."""
        from bot.net.clock import run_clock
        from bot.telemetry.plain import iso_time

        start_ns = run_clock()()
        code = self._examine(start_ns)
        self._progress.clear()
        counts = self._findings.counts()
        if self._json:
            from bot.doctor.report import summary_of

            self._print_json(summary_of(self._findings))
        else:
            self._print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
        if report is not None:
            self._write(report, iso_time(start_ns))
        return code

    def _examine(self, start_ns: int) -> int:
        from bot.config import ConfigError, client_secrets, load_token

        findings = self._findings
        self._check_config()
        try:
            client = client_secrets(self._config)
            self._secrets += [client.client_id, client.client_secret]
            token = load_token(self._config)
        except ConfigError as error:
            findings.check("credentials", "fail", str(error), exit_code=2)
            return findings.exit_code
        self._secrets += [token.access_token, token.refresh_token or ""]
        self._check_token(token, start_ns)
        return self._converse(client, token, start_ns)

    def _converse(self, client: Any, token: "Token", start_ns: int) -> int:
        import secrets

        from bot.doctor.examination import Examination
        from bot.doctor.facts import ExaminationPlan
        from bot.net.enquirer import EnquiryFailed, enquire

        config, findings = self._config, self._findings
        plan = ExaminationPlan(
            access_token=token.access_token,
            account_id=config.account.id,
            environment=config.venue.environment,
            trade=config.mode == "trade",
            symbols=tuple(config.symbols),
            tolerance_frac=config.risk.expected_margin_tolerance_frac,
            listen_s=self._seconds,
            start_ns=start_ns,
            orders_tag=secrets.token_hex(4) if self._demo_orders else None,
            provoke=self._provoke,
            keeper=self._keeper(token),
        )
        examination = Examination(plan, findings, self._progress)
        limit_s = self._seconds + _OVER_LISTENING_S
        if self._provoke:
            limit_s += self._seconds + _OVER_PROVOCATIONS_S
        code = 0
        try:
            enquire(config, client, examination.script(), timeout_s=limit_s, on_progress=self._progress)
        except EnquiryFailed as failed:
            code = failed.exit_code
            self._ended_early(examination, failed)
        for account in examination.facts.all_accounts:
            self._numbers += [number for number in (account.account_id, account.login) if number is not None]
        trader = examination.facts.trader
        if trader is not None and trader.HasField("traderLogin"):
            self._numbers.append(int(trader.traderLogin))
        return code or findings.exit_code

    def _keeper(self, token: "Token") -> "KeepsToken | None":
        from bot.cli.kept_token import KeptToken

        credentials = self._config.credentials
        if not self._provoke or credentials.access_token is not None or token.refresh_token is None:
            return None
        return KeptToken(credentials.token_file, token, self._secrets.append)

    def _ended_early(self, examination: "Examination", failed: Any) -> None:
        if failed.exit_code in (2, 130):
            self._progress.clear()
            typer.echo(failed.text, err=True)
        else:
            examination.failed(failed)
        if examination.footprint.is_dirty:
            label = examination.footprint.label
            typer.echo(f"ORDERS MAY BE OPEN at the venue: look for the label {label} and close them by hand", err=True)

    # -- what needs no venue ----------------------------------------------------------------------------------------

    def _check_config(self) -> None:
        from bot.config import check_supported

        warnings = check_supported(self._config)
        if warnings:
            self._findings.check("config", "warn", "; ".join(warnings), len(warnings))
        else:
            self._findings.check("config", "ok", "valid")

    def _check_token(self, token: "Token", start_ns: int) -> None:
        findings = self._findings
        path = self._config.credentials.token_file
        if self._config.credentials.access_token is not None:
            findings.check("token_file", "ok", "not used: the config gives the access token, which is never refreshed")
            return
        findings.check("token_file", "ok", f"{path} can be read by its owner alone")
        has_refresh = token.refresh_token is not None
        renewal = "a refresh token is there" if has_refresh else "there is no refresh token: `microlev auth login`"
        if not token.expires_at:
            findings.check("token_expiry", "unknown", f"the token file does not say when it expires; {renewal}")
            return
        days = (token.expires_at - start_ns / 1e9) / _DAY_S
        if days <= 0:
            text = f"expired {-days:.1f} days ago; {renewal}"
            findings.check("token_expiry", "warn" if has_refresh else "fail", text, round(days, 2), exit_code=3)
        else:
            soon = days < _SOON_DAYS
            findings.check("token_expiry", "warn" if soon else "ok", f"{days:.1f} days left; {renewal}", round(days, 2))

    # -- what a person sees -----------------------------------------------------------------------------------------

    def _tell(self, finding: "Finding") -> None:
        from bot.doctor.findings import Check
        from bot.doctor.report import line_of

        self._progress.clear()
        if self._json:
            self._print_json(line_of(finding))
        else:
            result = finding.result if isinstance(finding, Check) else "seen"
            self._print(f"{result:<8}{finding.name:<40} {finding.text}")

    def _print_json(self, line: dict[str, Any]) -> None:
        import json

        self._print(json.dumps(line, allow_nan=False))

    def _print(self, line: str) -> None:
        try:
            print(line, flush=True)
        except BrokenPipeError:
            # Nobody reads any more. What was begun is still brought to its end: orders may be open.
            from bot.cli.screen import write_into_nothing

            write_into_nothing()

    def _mask(self) -> "Mask":
        from bot.doctor.report import Mask

        return Mask(self._secrets, self._numbers, {str(Path.home()): "~"})

    def _write(self, path: Path, time: str) -> None:
        import os
        import tempfile

        from bot import __version__
        from bot.doctor.report import json_report, markdown_report

        headings = {"time": time, "version": __version__, "environment": self._config.venue.environment}
        if path.suffix == ".json":
            content = json_report(self._findings, self._mask())
        else:
            content = markdown_report(self._findings, self._mask(), headings)
        try:
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.absolute().parent, delete=False) as file:
                file.write(content)
            os.replace(file.name, path)
        except OSError as error:
            typer.echo(f"the report cannot be written: {path}: {error.strerror or error}", err=True)
            return
        typer.echo(f"report written to {path}", err=True)
