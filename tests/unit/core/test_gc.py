import gc

import pytest

from reconciler.core.gc import bulk_load


def test_no_collection_within_and_collection_after() -> None:
    assert gc.isenabled()
    frozen = gc.get_freeze_count()
    try:
        with bulk_load():
            assert not gc.isenabled()
            made = [[] for _ in range(10)]
        assert gc.isenabled()
        assert gc.get_freeze_count() >= frozen + len(made)
    finally:
        gc.unfreeze()


def test_collection_comes_back_after_an_error() -> None:
    with pytest.raises(ValueError, match="x"), bulk_load():
        raise ValueError("x")
    assert gc.isenabled()
    gc.unfreeze()
