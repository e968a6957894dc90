"""The account: its money, how far the stop-out is, and how much of each limit is used."""

from bot.dashboard import formats
from bot.dashboard.panels.meter import CLOSE, meter, noted
from bot.dashboard.panels.section import empty, section
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node

MOVE_CLOSE = 0.05
"""A move of everything that is held that a bad day has: a stop-out no farther than this is said to be close."""
_LONG_MONEY = 14


def account(scene: Scene) -> Node:
    """Return the panel of the account."""
    words, known = scene.words, scene.known
    if not known:
        return section(scene, "account_panel", empty(words("nothing_yet")))
    limits = known["account_limits"]
    cells = [
        _money(scene, "balance", known["balance"]),
        _money(scene, "used_margin", used_margin(scene)),
        _margin_level(scene),
        _stop_out(scene),
        _limit(scene, "daily_loss", limits["daily_loss_frac"], limits["max_daily_loss_frac"]),
        _limit(scene, "drawdown", limits["drawdown_frac"], limits["max_drawdown_frac"]),
        _limit(scene, "margin_use", limits["margin_use_frac"], limits["max_margin_use_frac"]),
        meter(
            scene,
            words("total_leverage"),
            limits["leverage"],
            limits["max_leverage"],
            scene.figure("leverage", limits["leverage"], formats.leverage(limits["leverage"], sign=False), words("x")),
            words("times", number=formats.leverage(limits["max_leverage"], sign=False)),
        ),
        meter(
            scene,
            words("orders_last_minute"),
            known["orders_last_minute"],
            known["max_orders_per_minute"],
            scene.figure("orders_last_minute", known["orders_last_minute"], str(known["orders_last_minute"])),
            str(known["max_orders_per_minute"]),
            is_pace=True,
        ),
    ]
    return section(scene, "account_panel", node("div", cells, class_="cells"))


def used_margin(scene: Scene) -> float | None:
    """Return the used margin; None before the account is known, when the bot knows of no positions yet."""
    return None if scene.known["balance"] is None else scene.known["used_margin"]


def _sum(scene: Scene, name: str, number: float | None) -> Node:
    text = formats.money(number, scene.currency)
    is_long = text is not None and len(f"{text} {scene.currency}") > _LONG_MONEY
    return scene.figure(name, number, text, scene.currency, class_="long" if is_long else "")


def _money(scene: Scene, name: str, number: float | None) -> Node:
    shown = _sum(scene, name, number)
    return node("div", node("div", scene.words(name), class_="label"), shown, class_="cell")


def _margin_level(scene: Scene) -> Node:
    words, level, limits = scene.words, scene.known["margin_level"], scene.known["account_limits"]
    is_flat = level is None and used_margin(scene) == 0
    shown = (
        node("span", words("nothing_held"), class_="figure calm", data_testid="value:margin_level", data_value="")
        if is_flat
        else scene.figure("margin_level", level, formats.percent(level), "%")
    )
    least = words("at_least", limit=words("percent", number=formats.percent(limits["min_margin_level_frac"])))
    note = None
    if level is not None and level * CLOSE < limits["min_margin_level_frac"]:
        is_low = level < limits["min_margin_level_frac"]
        note = noted(scene, "over" if is_low else "close", "level_low" if is_low else "limit_close")
    return node(
        "div",
        node("div", words("margin_level"), class_="label"),
        node("div", shown, note, class_="with-note"),
        node("div", least, class_="of", title=words("at_least_title")),
        class_="cell",
    )


def _stop_out(scene: Scene) -> Node:
    words, limits = scene.words, scene.known["account_limits"]
    loss, move = limits["stop_out_loss"], limits["stop_out_move_frac"]
    if loss is None and used_margin(scene) == 0:
        shown = node(
            "span", words("nothing_held"), class_="figure calm", data_testid="value:stop_out_loss", data_value=""
        )
        below = note = None
    else:
        shown, note = _sum(scene, "stop_out_loss", loss), None
        if loss is not None and loss <= 0:
            note = noted(scene, "over", "stop_out_passed")
        elif move is not None and move < MOVE_CLOSE:
            note = noted(scene, "close", "limit_close")
        below = node(
            "div",
            words("stop_out_move"),
            " ",
            scene.figure(
                "stop_out_move_frac", move, ">100" if move is not None and move > 1 else formats.percent(move), "%"
            ),
            class_="of",
        )
    level = words("percent", number=formats.percent(limits["stop_out_level_frac"]))
    label = node("div", words("stop_out"), class_="label", title=words("stop_out_title", level=level))
    return node("div", label, node("div", shown, note, class_="with-note"), below, class_="cell")


def _limit(scene: Scene, name: str, used: float | None, limit: float) -> Node:
    # A gain is no loss of less than nothing.
    used = None if used is None else max(used, 0.0)
    shown = scene.figure(name, used, formats.percent(used), "%")
    of = scene.words("percent", number=formats.percent(limit))
    return meter(scene, scene.words(name), used, limit, shown, of)
