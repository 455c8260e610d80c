"""Counters and histograms, and the text in which Prometheus reads them.

Kept by whoever measures, printed by the API's `/metrics`. Nothing here knows what is measured. The
text is Prometheus' exposition format 0.0.4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Iterator, Sequence

Labels = tuple[str, ...]


class Counter:
    """A number that only grows, for each combination of label values."""

    def __init__(self, name: str, help_text: str, labels: Labels) -> None:
        self._name, self._help, self._labels = name, help_text, labels
        self._counts: Counts[Labels] = Counts()

    def count(self, *values: str) -> None:
        """Add one to the combination of label values."""
        self._counts[values] += 1

    def lines(self) -> Iterator[str]:
        """Yield the counter's text."""
        yield f"# HELP {self._name} {self._help}"
        yield f"# TYPE {self._name} counter"
        for values, number in sorted(self._counts.items()):
            yield f"{self._name}{_labelled(self._labels, values)} {number}"


class Histogram:
    """How often seconds fell into which bucket, for each combination of label values.

    `bounds` are the buckets' upper ends in rising order; +Inf is added.
    """

    def __init__(self, name: str, help_text: str, labels: Labels, bounds: Sequence[float]) -> None:
        self._name, self._help, self._labels = name, help_text, labels
        self._bounds = tuple(bounds)
        self._buckets: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, seconds: float, *values: str) -> None:
        """Count a duration for the combination of label values."""
        buckets = self._buckets.setdefault(values, [0] * (len(self._bounds) + 1))
        buckets[bisect_left(self._bounds, seconds)] += 1
        self._sums[values] = self._sums.get(values, 0.0) + seconds

    def lines(self) -> Iterator[str]:
        """Yield the histogram's text."""
        yield f"# HELP {self._name} {self._help}"
        yield f"# TYPE {self._name} histogram"
        ends = (*(f"{bound:g}" for bound in self._bounds), "+Inf")
        for values, buckets in sorted(self._buckets.items()):
            total = 0
            for end, number in zip(ends, buckets, strict=True):
                total += number
                labels = _labelled((*self._labels, "le"), (*values, end))
                yield f"{self._name}_bucket{labels} {total}"
            labels = _labelled(self._labels, values)
            yield f"{self._name}_sum{labels} {self._sums[values]:.6g}"
            yield f"{self._name}_count{labels} {total}"


def exposition(measures: Sequence[Counter | Histogram]) -> str:
    """Return the text of several measures, each line ended."""
    return "".join(f"{line}\n" for each in measures for line in each.lines())


def _labelled(names: Labels, values: Labels) -> str:
    pairs = (f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{','.join(pairs)}}}" if names else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
