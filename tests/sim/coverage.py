"""How often many histories met each kind of misfortune. Printed by `make sim`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tests.sim.misfortunes import EVERY, names
from tests.sim.play import Verdict

_RAREST = 5


class Coverage:
    """The histories that had a kind drawn, and those in which something felt it."""

    def __init__(self) -> None:
        self._drawn: Counter[str] = Counter()
        self._met: Counter[str] = Counter()

    def add(self, verdict: Verdict) -> None:
        """Count what one history had."""
        steps = verdict.history.happening()
        self._drawn.update({name for step in steps for name in names(step.what)})
        self._met.update(verdict.met)

    def lines(self) -> Iterator[str]:
        """Yield what there is to tell: the sums, then what never came and what came seldom."""
        drawn, met = (EVERY & set(each) for each in (self._drawn, self._met))
        yield f"of {len(EVERY)} kinds of fault {len(drawn)} were drawn, {len(met)} were met"
        if EVERY - drawn:
            yield f"  never drawn: {', '.join(sorted(EVERY - drawn))}"
        if drawn - met:
            yield f"  drawn so often, never met: {_told(sorted(drawn - met), self._drawn)}"
        rarest = sorted(met, key=lambda name: (self._met[name], name))[:_RAREST]
        yield f"  met least often: {_told(rarest, self._met)}"


def _told(kinds: Iterable[str], counts: Counter[str]) -> str:
    return ", ".join(f"{kind} ({counts[kind]})" for kind in kinds)
