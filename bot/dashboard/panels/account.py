"""The account: its money, how far the stop-out is, and how much of each limit is used."""

from bot.dashboard import formats
from bot.dashboard.panels.meter import meter
from bot.dashboard.panels.section import empty, section
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node


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
        ),
    ]
    return section(scene, "account_panel", node("div", cells, class_="cells"))


def used_margin(scene: Scene) -> float | None:
    """Return the used margin; None before the account is known, when the bot knows of no positions yet."""
    return None if scene.known["balance"] is None else scene.known["used_margin"]


def _money(scene: Scene, name: str, number: float | None) -> Node:
    shown = scene.figure(name, number, formats.money(number, scene.currency), scene.currency)
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
    return node(
        "div",
        node("div", words("margin_level"), class_="label"),
        shown,
        node("div", least, class_="of"),
        class_="cell",
    )


def _stop_out(scene: Scene) -> Node:
    words, limits = scene.words, scene.known["account_limits"]
    loss, move = limits["stop_out_loss"], limits["stop_out_move_frac"]
    if loss is None and used_margin(scene) == 0:
        shown = node(
            "span", words("nothing_held"), class_="figure calm", data_testid="value:stop_out_loss", data_value=""
        )
        below = None
    else:
        shown = scene.figure("stop_out_loss", loss, formats.money(loss, scene.currency), scene.currency)
        below = node(
            "div",
            words("stop_out_move"),
            " ",
            scene.figure("stop_out_move_frac", move, formats.percent(move), "%"),
            class_="of",
        )
    level = words("percent", number=formats.percent(limits["stop_out_level_frac"]))
    label = node("div", words("stop_out"), class_="label", title=words("stop_out_title", level=level))
    return node("div", label, shown, below, class_="cell")


def _limit(scene: Scene, name: str, used: float | None, limit: float) -> Node:
    # A gain is no loss of less than nothing.
    used = None if used is None else max(used, 0.0)
    shown = scene.figure(name, used, formats.percent(used), "%")
    of = scene.words("percent", number=formats.percent(limit))
    return meter(scene, scene.words(name), used, limit, shown, of)
