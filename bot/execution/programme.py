"""A change of position that is carried out in slices: where it is to end, how far it has come, when it goes on.

Once begun, a programme is carried to its end even where the rest alone would not be worth a trade, unless what is
wanted moves: where less is wanted it ends there, and where the opposite is wanted it is over. What remains is always
the difference between its end and what is held, so nothing that happens to a slice can make the whole go too far.
"""

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Programme:
    """One change of a symbol's position.

    Units: `target_cents` signed, 0.01 base unit; `side` +1 for a long position, -1 for a short one; `sent` slices so
        far; `due_ns` when the next may be sent, `ends_ns` when the last is planned.
    """

    target_cents: int
    side: int
    grows: bool
    due_ns: int
    ends_ns: int
    sent: int = 0

    def end_cents(self, held_cents: int, goal_cents: float, fresh_cents: int) -> int | None:
        """Return the position that it is to end at as things are now; None where there is nothing left to do.

        Args: `goal_cents` what is wanted altogether, NaN unknown; `fresh_cents` what the rules would trade to if there
            were no programme: what lies farther the same way is taken up.
        Units: signed, 0.01 base unit.
        """
        size = self.side * held_cents
        if size < 0 or (size == 0 and not self.grows) or math.isnan(goal_cents):
            return None
        goal, fresh = max(self.side * goal_cents, 0.0), max(self.side * fresh_cents, 0)
        planned = self.side * self.target_cents
        if self.grows:
            end = math.floor(min(max(planned, fresh), goal))
            return self.side * end if end > size else None
        end = math.ceil(max(min(planned, fresh), goal))
        return self.side * end if end < size else None
