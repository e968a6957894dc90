"""What is shown to somebody who has not shown the token: a form for it, in both languages; and the way in."""

from typing import Literal

from bot.dashboard.access import Verdict

PATH = "/enter"

_SAID: dict[Verdict | Literal[""], tuple[str, str]] = {
    "": ("", ""),
    "right": ("", ""),
    "wrong": ("This token is not the right one.", "トークンが違います。"),
    "too_many": (
        "Too many wrong tokens; wait a few seconds and try again.",
        "誤ったトークンが続きました。数秒待ってから再度お試しください。",
    ),
}

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}"
    "input,button{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin:.25rem 0}"
)


def form(verdict: Verdict | Literal[""] = "") -> bytes:
    """Return the page with the form. Args: `verdict` is that on the token which was shown; empty before the first."""
    english, japanese = _SAID[verdict]
    said = f'<p role="alert">{english}<br><span lang="ja">{japanese}</span></p>' if english else ""
    return _page(
        f"<h1>microlev</h1>{said}"
        "<p>Open the link that <code>microlev dashboard</code> has printed, or paste the token: the part of that link "
        "behind <code>token=</code>, or the one in the running bot&#39;s <code>telemetry.json</code>.</p>"
        '<p lang="ja"><code>microlev dashboard</code> が表示したリンクを開くか、トークンを貼り付けてください。'
        "トークンはリンクの <code>token=</code> より後ろの部分、"
        "または稼働中のボットの <code>telemetry.json</code> にあります。</p>"
        f'<form method="post" action="{PATH}" autocomplete="off">'
        '<label for="token">Token / トークン</label>'
        '<input id="token" name="token" type="password" required autofocus autocomplete="off">'
        '<button type="submit">Open / 開く</button></form>'
    )


def forward() -> bytes:
    """Return a page that goes on to the dashboard by itself.

    It is for a browser that came from another place, the file that opens it: a redirect would still count as that
    place's doing, and a strict cookie would stay behind.
    """
    head = '<meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0;url=/">'
    return _page('<p><a href="/">microlev</a></p>', head)


def _page(body: str, head: str = "") -> bytes:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>microlev</title><style>{_STYLE}</style>{head}</head><body>{body}</body></html>"
    ).encode()
