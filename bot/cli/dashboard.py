"""`microlev dashboard`: a page in the browser that shows a run, live or recorded."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from bot.cli.options import duration

if TYPE_CHECKING:
    from bot.dashboard.place import Places

TOKEN_VARIABLE = "MICROLEV_TELEMETRY_TOKEN"
LINK_IS = "dashboard: "

EXIT_USAGE = 2
EXIT_UNREACHABLE = 4
EXIT_INTERRUPTED = 130

_LONGEST_TOKEN = 4096
_ANSWER_S = 2.0


def dashboard(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="URL|CONFIG|JOURNAL",
            help="A running bot's telemetry, the config of one on this machine, or a recording. Without: the one bot "
            "that runs here.",
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="TCP port on 127.0.0.1; 0 takes a free one.", min=0, max=65_535)] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the link and open no browser.")] = False,
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="Stop after this long; default: when interrupted.", min=0.0, callback=duration
        ),
    ] = None,
    lang: Annotated[
        Literal["en", "ja"] | None, typer.Option(help="Language of the page; default: the browser's.")
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"The token of a URL, readable by you alone; default: {TOKEN_VARIABLE}."),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PEM file of the authority that has signed a bot's certificate.")
    ] = None,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True, help="End with standard input.")] = False,
) -> int:
    """Show a run, live or recorded, on a page in the browser.

    The page can halt, resume and flatten a bot that runs. Prints one line on standard error, the link, when it
    accepts connections. What it shows needs the link's token.
    """
    import secrets

    refuse_without_extra()
    from bot.dashboard.live_feed import LiveFeed
    from bot.dashboard.opening import OpeningFile
    from bot.dashboard.recorded_feed import RecordedFeed
    from bot.dashboard.server import HOST, Wishes, listen, serve

    meant = _meant(source, token_file)
    feed: Any
    if isinstance(meant, Path):
        feed, known = RecordedFeed(meant, tell=lambda text: typer.echo(text, err=True)), list
    else:
        try:
            feed = LiveFeed(meant, ca_file=ca_file)
        except ValueError as error:
            _refuse(str(error))
        known = feed.tokens
    # A recording has no token, and a bot that does not run yet has none that is known.
    own = [] if known() else [secrets.token_urlsafe(24)]
    try:
        listener = listen(port)
    except OSError as error:
        typer.echo(f"cannot listen on {HOST}:{port}: {error.strerror or error}", err=True)
        return EXIT_UNREACHABLE
    link = f"http://{HOST}:{listener.getsockname()[1]}/?token={[*own, *known()][0]}"
    opening: list[OpeningFile] = []

    def announce() -> None:
        typer.echo(f"{LINK_IS}{link}", err=True)
        if not no_browser:
            from bot.cli.browser import open_browser

            opening.append(OpeningFile(link))
            open_browser(opening[0].path.as_uri())

    def close_opening() -> None:
        for each in opening:
            each.remove()

    try:
        interrupted = serve(
            feed,
            listener,
            lambda: [*own, *known()],
            Wishes(seconds, lang),
            announce=announce,
            entered=close_opening,
            until=_until_input_ends if with_parent else None,
        )
    finally:
        close_opening()
    return EXIT_INTERRUPTED if interrupted else 0


def refuse_without_extra() -> None:
    """Raises: typer.Exit after one line, where the packages of the page are not installed."""
    from importlib.util import find_spec

    if find_spec("nicegui") is None:
        _refuse(
            "the dashboard needs NiceGUI, which is not installed; install it with: pip install 'microlev[dashboard]'"
        )


def _meant(source: str | None, token_file: Path | None) -> "Places | Path":
    """Return what says where the bot is, or the file of a recording."""
    from bot.net.telemetry_file import FILE_NAME

    if source is not None and "://" in source:
        return _at_url(source, token_file)
    if token_file is not None:
        _refuse("--token-file belongs to a URL; a bot on this machine is found with its token")
    if source is None:
        return _kept_in(_only_running())
    path = Path(source)
    if path.name == FILE_NAME:
        return _kept_in(path.parent)
    return _recording(path) or _kept_in(_of_config(path))


def _at_url(url: str, token_file: Path | None) -> "Places":
    from bot.dashboard.place import Place, checked_url

    try:
        address = checked_url(url)
    except ValueError as error:
        _refuse(str(error))
    token = os.environ.get(TOKEN_VARIABLE, "").strip() if token_file is None else _read_token(token_file)
    if not token.isascii() or not token.isprintable() or not token or " " in token:
        _refuse(
            f"no token for {address}: set {TOKEN_VARIABLE}, or give --token-file; the bot's telemetry.json holds it"
        )
    place = Place(address, token)
    return lambda: place


def _read_token(path: Path) -> str:
    import stat

    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if os.name == "posix" and mode & 0o077:
                _refuse(f"{path}: others can read the token file (mode {mode:04o}); run: chmod 600 {path}")
            return file.read(_LONGEST_TOKEN).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        _refuse(f"{path}: the token cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}")


def _kept_in(folder: Path) -> "Places":
    from bot.dashboard.place import place_in

    return lambda: place_in(folder)


def _only_running() -> Path:
    from bot.config.state_folder import user_state_folder
    from bot.dashboard.place import running_bots

    folder = user_state_folder()
    found = running_bots(folder)
    if not found:
        _refuse(
            f"no bot with telemetry runs in {folder}; set `telemetry: {{enabled: true}}` in its config and start it "
            "anew, or give the CONFIG of one that keeps its state elsewhere"
        )
    if len(found) > 1:
        _refuse(f"{len(found)} bots run; give the CONFIG of one: {', '.join(path.name for path in found)}")
    return found[0]


def _recording(path: Path) -> Path | None:
    from bot.journal.format import JournalError
    from bot.journal.segments import is_recording, segments_for

    if not is_recording(path):
        return None
    try:
        segments = segments_for(path)
    except JournalError as error:
        _refuse(str(error))
    if not any(segment.path.is_file() for segment in segments):
        _refuse(f"{path}: there is no such recording")
    return path


def _of_config(path: Path) -> Path:
    from bot.config import ConfigError, load_config, load_place, state_directory
    from bot.dashboard.place import PlaceUnknown, place_in

    try:
        place = load_place(path, os.environ)
    except ConfigError as error:
        if path.suffix.lower() in (".yaml", ".yml"):
            raise
        _refuse(
            f"{path} is no recording (.journal, .journal.zst, or a folder of them), no address (http://…), and no "
            f"config ({error})"
        )
    folder = state_directory(place).absolute()
    try:
        place_in(folder)
    except PlaceUnknown:
        try:
            is_off = not load_config(path, os.environ).telemetry.enabled
        except ConfigError:
            is_off = False  # of another terminal's variables, say: the bot itself knows better
        if is_off:
            _refuse(
                f"{path}: telemetry.enabled is false, so its bot cannot be watched; set it to true, and start the bot "
                "anew"
            )
        typer.echo(_why_it_waits(folder, place.account.id), err=True)
    return folder


def _why_it_waits(folder: Path, account_id: int | None) -> str:
    """Return what a person should know when no bot with telemetry is there yet."""
    from bot.net.control_client import NotReachable, Refused, ask

    try:
        ask(folder, account_id, "status", within_s=_ANSWER_S)
    except (NotReachable, Refused):
        return f"no bot runs in {folder} yet; the page waits for it"
    return f"the bot in {folder} was started without telemetry; start it anew, and the page finds it"


def _until_input_ends() -> None:
    while os.read(0, 4096):
        pass


def _refuse(line: str) -> NoReturn:
    typer.echo(line, err=True)
    raise typer.Exit(EXIT_USAGE)
