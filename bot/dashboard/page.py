"""The page."""

from nicegui import ui

from bot.dashboard.feed import Feed


def build_page(feed: Feed, language: str) -> None:
    """Build the page of one browser."""
    shown = ui.label()

    def refresh() -> None:
        newest = feed.snapshot or {}
        books = ", ".join(f"{each['symbol']} {each['bid']}" for each in newest.get("symbols", ()) if each["bid"])
        shown.set_text(f"{language} {feed.trouble} {books}")

    refresh()
    ui.timer(0.5, refresh)
