"""Why a symbol's leverage is what it is, in sentences of either language, made from the numbers themselves."""

from collections.abc import Mapping
from typing import Any

from bot.dashboard import formats
from bot.dashboard.words.catalogue import Words

CRISIS_LEAVES = (1.0, 0.5, 0.25, 0.0)
"""What a crisis leaves of a wish, by level."""
FREE: Mapping[str, Any] = {"trading": "active", "causes": (), "reasons": ()}
"""A snapshot in which nothing stands in the way."""
CAPS = frozenset({"kelly", "stop_out", "exit_cost", "max_volume", "max_symbol", "max_total", "margin"})
"""The bounds that are caps; the others are moments in which nothing may grow, or patience."""
_SAME = 0.02
"""A factor this near to 1 changes nothing worth a word."""


def near(one: float, other: float, base: float | None) -> bool:
    """Return whether two leverages are the same to a reader: within a hundredth of the base."""
    return abs(one - other) < max(0.01 * (base or 0.0), 0.005)


def sentences(each: dict[str, Any], words: Words, known: Mapping[str, Any] = FREE) -> list[str]:
    """Return why this symbol of a snapshot holds what it holds, one sentence after another.

    Args: `known` the snapshot, of which `trading`, `causes` and `reasons` may stand above all that is wanted.
    """
    said = [_held(each, words), _wanted(each, words)]
    if each["leverage_base"] is None:
        return [said[0], words("why_not_yet")]
    now = _barred(each, words, known) or _now(each, words)
    told = (*said, _cap(each, words), _crisis(each, words), now, *_doubts(each, words, known))
    return [sentence for sentence in told if sentence]


def doubled(each: dict[str, Any], words: Words, known: Mapping[str, Any] = FREE) -> str:
    """Return what would follow if the spread doubled. Args: as of `sentences`."""
    then = each.get("if_spread_doubles")
    if then is None:
        return words("doubled_unknown")
    spread = formats.fixed(then["spread_bps"], 2) or words("unknown")
    goal, goal_then, target_then = each["leverage_goal"], then["leverage_goal"], then["leverage_target"]
    if goal_then is None or target_then is None:
        return words("doubled", spread=spread, then=words("doubled_not_known"))
    base, held = each["leverage_base"], each["leverage_now"]
    if goal is not None and near(goal, goal_then, base):
        said = words("doubled_same", goal=_times(goal_then, words))
    else:
        said = words("doubled_other", goal=_times(goal, words), then=_times(goal_then, words))
    keeps = held is not None and near(held, target_then, base)
    said += words("doubled_keeps") if keeps else words("doubled_goes", target=_times(target_then, words))
    if (bound := then["bound"]) is not None:
        said += words("doubled_bound", bound=words.code("bound", bound))
    said += words("doubled_end")
    if then["crisis_level"] > each["crisis_level"]:
        said += words("doubled_crisis", level=then["crisis_level"])
    if known["trading"] != "active":
        said += words("doubled_barred", state=words.code("trading", known["trading"]))
    return words("doubled", spread=spread, then=said)


def _times(number: float | None, words: Words) -> str:
    text = formats.leverage(number)
    return words("unknown") if text is None else f"{text}{words('x')}"


def _held(each: dict[str, Any], words: Words) -> str:
    held, base = each["leverage_now"], each["leverage_base"]
    of = words("of_base", base=formats.leverage(base, sign=False)) if base is not None else ""
    if held is None:
        return words("why_held_unknown", of=of)
    if abs(held) < 0.005:
        return words("why_flat", of=of)
    return words("why_holds", held=_times(held, words), of=of)


def _wanted(each: dict[str, Any], words: Words) -> str:
    wanted, factors = each["leverage_wanted"], each["factors"]
    missing = [words.code("factor", name) for name, factor in factors.items() if factor is None]
    if wanted is None:
        return words("why_wish_unknown", factors=words.listed(missing)) if missing else words("why_no_wish")
    less = [(factor, name) for name, factor in factors.items() if factor is not None and factor < 1 - _SAME]
    more = [(factor, name) for name, factor in factors.items() if factor is not None and factor > 1 + _SAME]
    parts = []
    if less:
        parts.append(words("why_less", factors=_named(sorted(less), words)))
    if more:
        parts.append(words("why_more", factors=_named(sorted(more, reverse=True), words)))
    if not parts:
        return words("why_wants", wanted=_times(wanted, words))
    return words("why_wants_since", wanted=_times(wanted, words), since=words("why_and").join(parts))


def _named(factors: list[tuple[float, str]], words: Words) -> str:
    return words.listed([f"{words.code('factor', name)} ×{formats.fixed(factor, 2)}" for factor, name in factors])


def _cap(each: dict[str, Any], words: Words) -> str:
    cap, bound, goal = each["cap"], each["bound"], each["leverage_goal"]
    if bound in CAPS:
        return words("why_capped", bound=words.code("bound", bound), goal=_times(goal, words))
    if cap is None or each["cap_bound"] is None:
        return ""
    return words("why_cap_far", cap=formats.leverage(cap, sign=False), bound=words.code("bound", each["cap_bound"]))


def _crisis(each: dict[str, Any], words: Words) -> str:
    level = min(each["crisis_level"], 3)
    if not level:
        return ""
    leaves = CRISIS_LEAVES[level]
    return (
        words("why_crisis", level=level, share=f"{leaves:.0%}") if leaves else words("why_crisis_closes", level=level)
    )


def _barred(each: dict[str, Any], words: Words, known: Mapping[str, Any]) -> str:
    """Return what the trading state makes of a wish to grow; empty where it makes nothing of it."""
    if any(cause["flattens"] for cause in known["causes"]):
        return words("why_flattens")
    held, target = each["leverage_now"], each["leverage_target"]
    grows = held is not None and target is not None and (abs(target) > abs(held) or target * held < 0)
    if known["trading"] == "active" or not grows or near(held, target, each["leverage_base"]):
        return ""
    return words("why_barred", state=words.code("trading", known["trading"]), held=_times(held, words))


def _doubts(each: dict[str, Any], words: Words, known: Mapping[str, Any]) -> list[str]:
    """Return what else stands in the way of this very symbol."""
    said = []
    for reason in known["reasons"]:
        code, _, subject = reason.partition(":")
        if subject == each["symbol"] and words.has("reason", code):
            said.append(words("why_doubt", reason=words.code("reason", code, subject)))
    return said


def _now(each: dict[str, Any], words: Words) -> str:
    goal, target, held, base = (each[f"leverage_{name}"] for name in ("goal", "target", "now", "base"))
    bound = each["bound"]
    if target is None:
        return words("why_target_unknown")
    stays = held is not None and near(held, target, base)
    if goal is not None and near(goal, target, base):
        return words("why_there") if stays else words("why_goes", target=_times(target, words))
    key = "why_stays" if stays else "why_part_way"
    reason = words.code("bound", bound) if bound is not None and bound != "none" else words("unknown")
    return words(key, target=_times(target, words), bound=reason)
