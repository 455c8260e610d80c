from __future__ import annotations

import re
from random import Random

from reconciler.core.ids import Ids


def test_a_seed_gives_the_same_identifiers():
    assert [Ids(Random(7)).uid(), Ids(Random(7)).suffix()] == [
        Ids(Random(7)).uid(),
        Ids(Random(7)).suffix(),
    ]


def test_uids_are_version_4_and_suffixes_use_kubernetes_alphabet():
    ids = Ids()
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", ids.uid()
    )
    assert re.fullmatch(r"[bcdfghjklmnpqrstvwxz2456789]{5}", ids.suffix())


def test_bytes_drawn_together_are_given_once():
    ids = Ids()
    assert len({ids.uid() for _ in range(2000)}) == 2000
    assert {ids.below(3) for _ in range(200)} == {0, 1, 2}
