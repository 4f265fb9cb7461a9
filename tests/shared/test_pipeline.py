from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from shared.pipeline import ahead


def alive() -> bool:
    return any(thread.name == "assay-test" for thread in threading.enumerate())


def test_items_come_in_order_then_their_error():
    def items() -> Iterator[int]:
        yield from range(100)
        raise ValueError("no more")

    given: list[int] = []
    with pytest.raises(ValueError, match="no more"):
        given.extend(ahead(items(), depth=4, name="assay-test"))
    assert given == list(range(100))
    assert not alive()


def test_none_and_falsehood_are_items_too():
    assert list(ahead([None, 0, False], depth=1, name="assay-test")) == [None, 0, False]


def test_a_reader_that_fails_ends_a_producer_that_waits_for_room():
    def read() -> None:
        for item in ahead(itertools.count(), depth=2, name="assay-test"):
            if item == 3:
                raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        read()
    assert not alive()


def test_the_source_is_closed_in_the_thread_that_ran_it():
    where: dict[str, int] = {}

    def items() -> Iterator[int]:
        where["ran"] = threading.get_ident()
        try:
            yield from itertools.count()
        finally:
            where["closed"] = threading.get_ident()

    stream = ahead(items(), depth=2, name="assay-test")
    next(stream)
    stream.close()
    assert where["ran"] == where["closed"] != threading.get_ident()


def test_an_error_while_closing_is_not_lost():
    class Source:
        def __iter__(self) -> Iterator[int]:
            return iter([1, 2])

        def close(self) -> None:
            raise OSError("cannot close")

    with pytest.raises(OSError, match="cannot close"):
        list(ahead(Source(), depth=2, name="assay-test"))
