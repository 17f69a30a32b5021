"""Which acknowledgements settle just what they should: a broker in a few lines tells."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dlmon.brokers.rabbitmq.deliveries import Unsettled

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
    for number, tags in enumerate(settled):
        some = [100 * (number // 2) + tag for tag in tags]
        wanted.update(some)
        for tag, all_up_to_it in unsettled.settle(some):
            assert tag in at_broker
            at_broker -= {one for one in at_broker if one <= tag} if all_up_to_it else {tag}
        assert at_broker == handed_out - wanted
        assert len(unsettled) == len(at_broker)


def test_a_whole_batch_takes_one_acknowledgement() -> None:
    unsettled = Unsettled()
    unsettled.add(range(1, 1001))
    assert list(unsettled.settle(range(1, 501))) == [(500, True)]
    assert list(unsettled.settle([*range(500, 600), 700])) == [(599, True), (700, False)]
