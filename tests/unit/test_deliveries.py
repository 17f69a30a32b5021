"""Which acknowledgements settle just what they should: checked against a broker in a few lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dlmon.brokers.rabbitmq.deliveries import Unsettled, merge_settlements

TAGS = st.sets(st.integers(1, 60))


@given(st.lists(TAGS, max_size=6), st.lists(TAGS, min_size=1, max_size=6))
def test_what_is_settled_is_settled_and_nothing_else(
    added: list[set[int]], settled: list[set[int]]
) -> None:
    unsettled = Unsettled()
    handed_out: set[int] = set()
    for number, tags in enumerate(added):
        later = [100 * number + tag for tag in sorted(tags)]
        unsettled.add(later)
        handed_out.update(later)
    at_broker = set(handed_out)
    wanted: set[int] = set()
    held_back: list[tuple[int, bool]] = []
    for number, tags in enumerate(settled):
        some = [100 * (number // 2) + tag for tag in tags]
        wanted.update(some)
        settlements = list(unsettled.settle(some))
        held_back = merge_settlements([*held_back, *settlements])
        at_broker = _after(at_broker, settlements)
        assert at_broker == _after(handed_out, held_back) == handed_out - wanted
        assert len(unsettled) == len(at_broker)


def _after(at_broker: set[int], settlements: list[tuple[int, bool]]) -> set[int]:
    """What a broker still has."""
    left = set(at_broker)
    for tag, all_up_to_it in settlements:
        assert tag in left
        left -= {one for one in left if one <= tag} if all_up_to_it else {tag}
    return left


def test_a_whole_batch_takes_one_acknowledgement() -> None:
    unsettled = Unsettled()
    unsettled.add(range(1, 1001))
    assert list(unsettled.settle(range(1, 501))) == [(500, True)]
    assert list(unsettled.settle([*range(500, 600), 700])) == [(599, True), (700, False)]


def test_batches_that_follow_each_other_take_one_acknowledgement() -> None:
    unsettled = Unsettled()
    unsettled.add(range(1, 101))
    held_back: list[tuple[int, bool]] = []
    for tag in range(1, 101):
        held_back = merge_settlements([*held_back, *unsettled.settle([tag])])
    assert held_back == [(100, True)]
