"""Pod specs that many objects have word for word, but for their images: looked at once.

Filled by `decode`; asked by the rules of pod specs, each of which is a function of the spec alone.
What is known of a spec belongs to the very object that `decode` gave out, which is frozen: equal
text gives the same object again. A text that differs in images alone gives a relative, of which is
known what is known of the first: no rule looks at an ordinary image, and no default but the policy
of pulling it. Called from any thread; a race costs work done twice, no more.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        self._families: dict[bytes, Known] = {}

    def find(self, text: bytes) -> PodSpec | None:
        """Return what an equal text was decoded to, if that is still known."""
        known = self._by_text.get(text)
        return known.decoded if known is not None else None

    def add(self, text: bytes, decoded: PodSpec, family: bytes = b"") -> None:
        """Remember what a text was decoded to; `family` is the text without its images, if any."""
        if len(self._by_text) >= _SPECS:
            self._by_text, self._by_identity, self._families = {}, {}, {}
        known = self._by_text[text] = Known(decoded)
        self._by_identity[id(decoded)] = known
        if family:
            self._families[family] = known

    def relative(self, family: bytes, images: Sequence[str]) -> PodSpec | None:
        """Return the spec of that family with these images, if the first of it is sound."""
        first = self._families.get(family)
        if first is None or first.defaulted is None or not first.sound:
            return None
        decoded = _with_images(first.decoded, images)
        known = Known(decoded, None, first.sound, first.supported)
        if len(self._by_identity) >= 4 * _SPECS:
            self._by_identity = {}
        self._by_identity[id(decoded)] = known
        self.defaulted(known, _with_images(first.defaulted, images))
        return decoded

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


def _with_images(spec: PodSpec, images: Sequence[str]) -> PodSpec:
    """Return the spec with other images: of its containers first, then of its init containers."""
    count = len(spec.containers)
    changes = {
        name: tuple(each.replace(image=image) for each, image in zip(held, fresh, strict=True))
        for name, held, fresh in (
            ("containers", spec.containers, images[:count]),
            ("init_containers", spec.init_containers, images[count:]),
        )
    }
    return spec.replace(**changes)


ALIKE = Alike()
