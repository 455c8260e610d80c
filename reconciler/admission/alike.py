"""Pod specs that many objects have word for word: decoded, defaulted and judged once.

Filled by `decode`; asked by the rules of pod specs, each of which is a function of the spec alone.
What is known of a spec belongs to the very object that `decode` gave out, which is frozen: equal
text gives the same object again. Called from any thread; a race costs work done twice, no more.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.pod import PodSpec

_SPECS = 256


@dataclass(slots=True, eq=False)
class Known:
    """One spec as it was decoded, and what came of it so far.

    `sound` says that no rule refuses the defaulted one, `supported` that we act on all of it.
    """

    decoded: PodSpec
    defaulted: PodSpec | None = None
    sound: bool = False
    supported: bool = False


class Alike:
    """The specs of the last few hundred texts."""

    def __init__(self) -> None:
        self._by_text: dict[bytes, Known] = {}
        self._by_identity: dict[int, Known] = {}

    def find(self, text: bytes) -> PodSpec | None:
        """Return what an equal text was decoded to, if that is still known."""
        known = self._by_text.get(text)
        return known.decoded if known is not None else None

    def add(self, text: bytes, decoded: PodSpec) -> None:
        """Remember what a text was decoded to."""
        if len(self._by_text) >= _SPECS:
            self._by_text, self._by_identity = {}, {}
        known = self._by_text[text] = Known(decoded)
        self._by_identity[id(decoded)] = known

    def of(self, spec: PodSpec) -> Known | None:
        """Return what is known of a spec, as decoded or as defaulted."""
        known = self._by_identity.get(id(spec))
        # An object that is gone leaves its identity to others.
        mine = known is not None and (known.decoded is spec or known.defaulted is spec)
        return known if mine else None

    def defaulted(self, known: Known, spec: PodSpec) -> None:
        """Remember what the defaults made of a spec."""
        known.defaulted = spec
        self._by_identity[id(spec)] = known


ALIKE = Alike()
