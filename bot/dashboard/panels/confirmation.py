"""What is asked before a command is given: what it will do, to what, and that it can be left."""

from bot.dashboard import formats
from bot.dashboard.panels.head import is_real
from bot.dashboard.panels.icon import icon
from bot.dashboard.panels.positions import profit, side
from bot.dashboard.panels.section import empty, table
from bot.dashboard.scene import Scene
from bot.dashboard.tree import Node, node
from bot.dashboard.words.catalogue import Words
from bot.dashboard.words.reasons import cause_said


def confirmation(scene: Scene, command: str) -> Node:
    """Return what to read before `halt`, `resume` or `flatten` is confirmed."""
    words = scene.words
    environment = scene.known.get("environment")
    where = words(
        "command_where",
        account=scene.known.get("account_id", words("unknown")),
        environment=words.code("environment", environment) if environment else words("unknown"),
        mode=words.code("mode", scene.known["mode"]) if "mode" in scene.known else words("unknown"),
    )
    return node(
        "div",
        node("h2", words(f"{command}_question")),
        node(
            "p", icon("warning") if is_real(scene) else None, where, class_="where bad" if is_real(scene) else "where"
        ),
        node("p", words(f"{command}_means")),
        _closed(scene) if command == "flatten" else None,
        _standing(scene) if command == "resume" else None,
        class_="confirmation",
        data_testid=f"confirmation:{command}",
    )


def _closed(scene: Scene) -> Node:
    words, held = scene.words, scene.known.get("positions", [])
    ours = [each for each in held if each["ours"]]
    rows = [
        (
            str(each["position_id"]),
            [
                node("b", each["symbol"] or words("unknown")),
                side(scene, each["side"]),
                node("span", formats.lots(each["lots"]) or words("unknown")),
                profit(scene, f"closes:{each['position_id']}", each["unrealised"]),
            ],
        )
        for each in ours
    ]
    columns = [(words("symbol"), False), (words("side"), False), (words("lots"), True), (words("profit"), True)]
    others = len(held) - len(ours)
    return node(
        "div",
        table(scene, "closes", columns, rows, words("closes_nothing")),
        node("p", words("left_alone", others=others)) if others else None,
    )


def _standing(scene: Scene) -> Node:
    words, known = scene.words, scene.known
    # A resume does not end all of them: what does, stands below each.
    told = [
        node("li", cause_said(cause, words), node("small", words.code("ends", cause["code"]), class_="detail"))
        for cause in known.get("causes", ())
    ]
    if hands_off := known.get("hands_off"):
        told.append(node("li", words("hands_off", symbols=words.listed(hands_off))))
    return node("ul", told, class_="why listed") if told else empty(words("nothing_to_resume"))


def outcome(words: Words, done: bool | None, text: str) -> Node:
    """Return what came of a command. Args: `done` None while the answer is awaited; `text` the bot's, or a code."""
    if done is None:
        return node("p", icon("clock"), words("command_busy"), class_="outcome", role="status")
    if words.has("trading", text):
        said = words("trading_state", state=words.code("trading", text))
    else:
        said = words.code("not_done", text)
    failed = "command_unknown" if text == "no_answer" else "command_failed"
    picture, key = ("check", "command_done") if done else ("warning", failed)
    look = "outcome good" if done else "outcome bad"
    return node("p", icon(picture), words(key, text=said), class_=look, role="alert", data_testid="outcome")
