"""News of rejects, that takes nothing from anybody."""

from __future__ import annotations

from dlmon.brokers.base import TAP_LIMIT, Broker
from dlmon.messages import Queue
from tests.support.rejections import contents, park, slow
from tests.support.web import wait_until


def test_a_tap_hears_of_what_is_parked_while_it_is_open_and_takes_nothing(broker: Broker) -> None:
    park(broker, [slow()])
    with broker.open_tap() as tap:
        assert tap.read() == []
        new = [slow(), slow()]
        park(broker, new)
        heard: list[str] = []

        def listen() -> list[str]:
            heard.extend(str(one.message_id) for one in tap.read())
            return heard

        wait_until(listen, lambda ids: len(ids) >= 2)
        assert sorted(heard) == sorted(one.message_id for one in new)
        assert tap.read() == []
    assert [one.delivery_count for one in contents(broker, Queue.REJECTS)] == [0, 0, 0]


def test_a_tap_that_is_not_read_keeps_a_bounded_number(broker: Broker) -> None:
    with broker.open_tap() as tap:
        park(broker, [slow() for _ in range(3 * TAP_LIMIT)])
        found = wait_until(tap.read, bool)
        assert len(found) <= TAP_LIMIT
    assert broker.depth(Queue.REJECTS).ready == 3 * TAP_LIMIT
