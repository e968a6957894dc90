"""One place that alerts go to, as apprise knows it: its URL read and checked, a message delivered, why one was not.

How it works: a URL is a secret as a whole, and apprise and the libraries below it write URLs into their logs. Those
logs are kept from every output; what was said in them during a delivery is looked at for the few words that say why it
failed, and those words, not the log's, are handed on.

Invariant: no text that leaves this module holds a part of a URL but its scheme.
"""

import logging
import re
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.alerts.alert import Severity
from bot.config import Config, ConfigError

_LOGGERS = ("apprise", "urllib3", "requests", "smtplib", "charset_normalizer")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,19})://")
_STATUS = re.compile(r"error[=:]\s*([1-5]\d\d)\b")
_OF_WEBHOOKS = {"http": "json", "https": "jsons"}
# What is asked for again may be answered otherwise.
_TRY_AGAIN = (408, 425, 429)
_WHY = (
    (r"timed? ?out|timeout", "it did not answer in time"),
    (r"certificate", "its certificate is not trusted"),
    (r"name or service not known|name resolution|failed to resolve|getaddrinfo|nodename", "its host name is not known"),
    (r"connection refused|actively refused", "the connection was refused"),
    (r"connection aborted|connection reset|remote end closed|broken pipe|eof occurred", "it closed the connection"),
    (r"authentication|username and password|auth failed", "it did not accept who we are"),
    (r"unreachable|no route", "the network does not reach it"),
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of a message. `why` is empty when it was taken; `is_final` says that trying again is of no use."""

    why: str = ""
    is_final: bool = False

    @property
    def is_done(self) -> bool:
        """Whether it was taken."""
        return not self.why


class AppriseUrl:
    """A place for messages. `name` says which, without a secret: its place in the config, and its scheme."""

    def __init__(self, name: str, plugin: Any, plain_text: Any) -> None:
        self.name = name
        self._plugin = plugin
        self._plain_text = plain_text

    def deliver(self, title: str, text: str, severity: Severity) -> Delivery:
        """Send a message and wait for the answer, for as long as apprise's time-outs let it take."""
        heard = _Heard()
        _ears.listen(heard)
        try:
            # The plugin itself, in this thread: `Apprise.notify` hands it to threads that are waited for at the end of
            # the process, for as long as they hang.
            if self._plugin.notify(title=title, body=text, notify_type=severity, body_format=self._plain_text):
                return Delivery()
        except Exception as error:
            heard.texts.append(f"{type(error).__name__} {error}")
        finally:
            _ears.forget()
        return heard.verdict()


def apprise_urls(config: Config) -> list[AppriseUrl]:
    """Return the places of `alerts.urls`; [] when there are none.

    Raises: ConfigError, one line without a URL, for one that apprise does not understand, or when there is no apprise.
    """
    if not config.alerts.urls:
        return []
    _silence()
    # What it loads are plugins for every channel there is, some of which warn of what they in turn load.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import apprise
        except ImportError:
            text = "need the package apprise, which is not there: pip install 'microlev[alerts]'"
            raise config.error_at("alerts.urls", text) from None
        return [_place(config, number, apprise) for number in range(len(config.alerts.urls))]


def _place(config: Config, number: int, apprise: Any) -> AppriseUrl:
    url, key = config.alerts.urls[number].get_secret_value().strip(), f"alerts.urls.{number}"
    asset = apprise.AppriseAsset(app_id="microlev", app_desc="alerts", async_mode=False)
    try:
        plugin = apprise.Apprise.instantiate(url, asset=asset)  # one address, whatever commas or blanks are in it
    except Exception:
        plugin = None  # its text would hold the address
    if plugin is None:
        raise config.error_at(key, _not_understood(url, known_schemes())) from None
    return AppriseUrl(f"{key} ({_scheme(url)})", plugin, apprise.NotifyFormat.TEXT)


def check_urls(config: Config) -> str | None:
    """Return a warning when the URLs cannot be checked, as apprise is not there. Raises: ConfigError, as above."""
    try:
        apprise_urls(config)
    except ConfigError as error:
        if _has_apprise():
            raise
        return str(error)
    return None


def known_schemes() -> Sequence[str]:
    """Return every scheme that apprise knows."""
    from apprise.manager_plugins import NotificationManager

    return sorted(NotificationManager().schemas())


def _has_apprise() -> bool:
    try:
        import apprise  # noqa: F401
    except ImportError:
        return False
    return True


def _scheme(url: str) -> str:
    found = _SCHEME.match(url)
    return found[1].lower() if found is not None else "?"


def _not_understood(url: str, known: Sequence[str]) -> str:
    import difflib

    scheme = _scheme(url)
    how = "see docs/alerts.md for the form of each channel"
    if scheme == "?":
        return f"is no URL that apprise understands: it should begin with a scheme, as tgram://; {how}"
    if scheme in known:
        return f"apprise does not understand what follows {scheme}://; {how}"
    if scheme in _OF_WEBHOOKS:
        return f"apprise has no channel {scheme}://; for a webhook of your own write {_OF_WEBHOOKS[scheme]}://; {how}"
    close = difflib.get_close_matches(scheme, known, n=1)
    hint = f", did you mean {close[0]}://?" if close else ""
    return f"apprise has no channel {scheme}://{hint}; {how}"


class _Heard:
    """What was logged during one delivery."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def verdict(self) -> Delivery:
        said = "\n".join(self.texts)
        status = _STATUS.search(said)
        if status is not None:
            code = int(status[1])
            return Delivery(f"it answered HTTP status {code}", 400 <= code < 500 and code not in _TRY_AGAIN)
        for pattern, why in _WHY:
            if re.search(pattern, said, re.IGNORECASE):
                return Delivery(why)
        return Delivery("apprise could not deliver, and gives no reason that can be shown")


class _Ears(logging.Handler):
    """Takes every record of the silenced loggers, and keeps those of a thread that listens."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._of_thread = threading.local()

    def listen(self, heard: _Heard) -> None:
        self._of_thread.heard = heard

    def forget(self) -> None:
        self._of_thread.heard = None

    def emit(self, record: logging.LogRecord) -> None:
        heard = getattr(self._of_thread, "heard", None)
        if heard is not None:
            try:
                heard.texts.append(record.getMessage())
            except Exception:
                heard.texts.append("")


_ears = _Ears()


def _silence() -> None:
    """Keep the logs of apprise and of what it sends with from every output."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if _ears not in logger.handlers:
            logger.handlers[:] = [_ears]
        logger.propagate = False
    # Below that it says why a delivery failed.
    logging.getLogger("apprise").setLevel(logging.DEBUG)
