"""Small pictures that stand beside words, never alone: drawn here, so that no font and no asset has to be loaded."""

from bot.dashboard.tree import Node, node

_FILLED = {
    "stop": "M7.6 2h8.8L22 7.6v8.8L16.4 22H7.6L2 16.4V7.6zM8 8v8h8V8z",
    "play": "M6 3.5v17l14-8.5z",
    "pause": "M6 4h4.5v16H6zM13.5 4H18v16h-4.5z",
    "up": "M12 5l9 15H3z",
    "down": "M12 19L3 4h18z",
    "diamond": "M12 2l8 10-8 10-8-10z",
    "warning": "M12 2.5L23 21.5H1zM10.9 9v6h2.2V9zM10.9 16.6v2.2h2.2v-2.2z",
    "halt": "M12 1.5a10.5 10.5 0 1 0 0 21 10.5 10.5 0 0 0 0-21zM6 10.5h12v3H6z",
    "check": "M12 1.5a10.5 10.5 0 1 0 0 21 10.5 10.5 0 0 0 0-21zM10.4 17L5.4 12l1.8-1.8 3.2 3.2 6.6-6.6L18.8 8.6z",
    "clock": "M12 1.5a10.5 10.5 0 1 0 0 21 10.5 10.5 0 0 0 0-21zM12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16zM11 6.5v6l4.6 2.8 1-1.7-3.6-2.2V6.5z",  # noqa: E501
    "link": "M3 12a4.5 4.5 0 0 1 4.5-4.5H11v2.2H7.5a2.3 2.3 0 0 0 0 4.6H11v2.2H7.5A4.5 4.5 0 0 1 3 12zM8 10.9h8v2.2H8zM13 7.5h3.5a4.5 4.5 0 0 1 0 9H13v-2.2h3.5a2.3 2.3 0 0 0 0-4.6H13z",  # noqa: E501
    "unlink": "M3 12a4.5 4.5 0 0 1 4.5-4.5H10v2.2H7.5a2.3 2.3 0 0 0 0 4.6H10v2.2H7.5A4.5 4.5 0 0 1 3 12zM14 7.5h2.5a4.5 4.5 0 0 1 0 9H14v-2.2h2.5a2.3 2.3 0 0 0 0-4.6H14zM11.2 3h1.6v4h-1.6zM11.2 17h1.6v4h-1.6z",  # noqa: E501
    "exit": "M3 3h10v4h-2.2V5.2H5.2v13.6h5.6V17H13v4H3zM15.5 7.5L21 12l-5.5 4.5v-3.4H8v-2.2h7.5z",
    "paper": "M5 2h9l5 5v15H5zM7 4v16h10V8.5h-4.5V4zM9 11h6v1.8H9zM9 14.5h6v1.8H9z",
}


def icon(name: str) -> Node:
    """Return a picture in the size and colour of the text around it; readers do not hear of it."""
    path = node("path", d=_FILLED[name], fill_rule="evenodd")
    return node("svg", path, class_="icon", viewBox="0 0 24 24", aria_hidden="true", focusable="false")
