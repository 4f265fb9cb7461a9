from __future__ import annotations

import time

import pytest

from shared.pipeline import consumed, in_batches


def test_everything_handed_over_is_consumed_before_the_block_ends():
    done: list[int] = []

    def slow(item: int) -> None:
        time.sleep(0.002)
        done.append(item)

    with consumed(slow, depth=2, name="sink") as put:
        for i in range(20):
            put(i)
    assert done == list(range(20))


def test_what_the_consumer_raises_reaches_the_one_who_hands_over():
    def refuse(item: int) -> None:
        raise OSError("disk full")

    def hand_over_many() -> None:
        with consumed(refuse, depth=1, name="sink") as put:
            for i in range(1000):
                put(i)

    with pytest.raises(OSError, match="disk full"):
        hand_over_many()


def test_an_error_of_the_last_item_is_not_lost():
    def refuse(item: int) -> None:
        time.sleep(0.05)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), consumed(refuse, depth=4, name="sink") as put:
        put(1)


def test_an_error_in_the_block_drops_what_waits():
    done: list[int] = []

    def slow(item: int) -> None:
        time.sleep(0.05)
        done.append(item)

    def hand_over_and_fail() -> None:
        with consumed(slow, depth=1000, name="sink") as put:
            for i in range(1000):
                put(i)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        hand_over_and_fail()
    assert len(done) < 1000


@pytest.mark.parametrize(
    ("weights", "size", "most", "expected"),
    [
        ([1, 1, 1, 1, 1], 2, 10, [2, 2, 1]),
        ([0, 0, 0, 0, 0], 2, 3, [3, 2]),
        ([2, 2, 0, 1], 3, 10, [2, 2]),
        ([5], 3, 10, [1]),
        ([], 3, 10, []),
    ],
)
def test_batches_are_filled_by_weight_and_bounded_in_length(weights, size, most, expected):
    batches = list(in_batches(weights, lambda w: w, size, most))
    assert [len(batch) for batch in batches] == expected
    assert [w for batch in batches for w in batch] == weights
