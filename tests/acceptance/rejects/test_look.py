from __future__ import annotations

from collections.abc import Sequence

from dlmon.brokers.base import Broker
from dlmon.commands.inspect_rejects import Look, look
from dlmon.messages import Message, Queue
from dlmon.rejects.actions import BATCH_SIZE
from dlmon.rejects.filters import RejectFilter
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.stop import Stop
from tests.support.events import make_body
from tests.support.rejections import VALIDATOR, contents, park, rejection, slow

EVERYTHING = RejectFilter()


def look_at(
    broker: Broker,
    stop: Stop,
    selection: RejectFilter = EVERYTHING,
    limit: int | None = None,
    seen: list[Rejection] | None = None,
) -> Look:
    collected = [] if seen is None else seen

    def visit(rejections: Sequence[Rejection]) -> None:
        collected.extend(rejections)

    return look(
        broker,
        VALIDATOR,
        selection,
        visit,
        stop=stop,
        on_progress=lambda _looked, _total: None,
        limit=limit,
    )


def test_a_look_shows_every_reject_as_it_was_parked(broker: Broker, stop: Stop) -> None:
    parked = [slow() for _ in range(BATCH_SIZE + 1)]
    park(broker, parked)
    seen: list[Rejection] = []
    result = look_at(broker, stop, seen=seen)
    assert sorted(seen, key=lambda one: one.message_id) == sorted(
        parked, key=lambda one: one.message_id
    )
    assert (result.depth.ready, result.looked, result.selected) == (
        BATCH_SIZE + 1,
        BATCH_SIZE + 1,
        BATCH_SIZE + 1,
    )
    assert not result.interrupted
    assert not result.ran_out


def test_sixty_looks_cost_nothing(broker: Broker, stop: Stop) -> None:
    parked = [slow() for _ in range(10)]
    park(broker, parked)
    for _ in range(60):
        assert look_at(broker, stop).looked == 10
    found = contents(broker, Queue.REJECTS)
    assert sorted(str(one.message_id) for one in found) == sorted(one.message_id for one in parked)
    assert {one.body for one in found} == {one.body for one in parked}


def test_only_the_selected_are_shown_and_all_are_counted(broker: Broker, stop: Stop) -> None:
    park(broker, [slow(), slow(), rejection(make_body(file_size=-1))])
    seen: list[Rejection] = []
    result = look_at(broker, stop, RejectFilter(codes=frozenset({"minimum"})), seen=seen)
    assert [one.code for one in seen] == ["minimum"]
    assert (result.looked, result.selected) == (3, 1)
    assert result.count(everything=False) == 1
    assert result.count(everything=True) == 3


def test_a_limit_ends_the_look_early(broker: Broker, stop: Stop) -> None:
    park(broker, [slow() for _ in range(5)])
    seen: list[Rejection] = []
    result = look_at(broker, stop, limit=2, seen=seen)
    assert (len(seen), result.selected) == (2, 2)
    assert not result.ran_out


def test_messages_of_another_program_are_validated_by_the_look(broker: Broker, stop: Stop) -> None:
    bodies = [b"not JSON", make_body(file_size="big"), make_body()]
    foreign = [Message(body, f"id {number}") for number, body in enumerate(bodies)]
    broker.publish(Queue.REJECTS, [foreign])
    seen: list[Rejection] = []
    look_at(broker, stop, seen=seen)
    assert sorted((one.message_id, one.code, one.path) for one in seen) == [
        ("id 0", "not-json", ""),
        ("id 1", "type", "/file_size"),
        ("id 2", "foreign", ""),
    ]
    assert {one.rejected_at for one in seen} == {None}


def test_a_look_says_that_another_reader_holds_some(broker: Broker, stop: Stop) -> None:
    park(broker, [slow() for _ in range(10)])
    with broker.open_reader(Queue.REJECTS, 4) as other:
        assert len(other.read(4)) == 4
        result = look_at(broker, stop)
    assert result.looked == 6
    assert result.partial
    assert look_at(broker, stop).looked == 10


def test_a_stopped_look_says_so_and_has_what_it_saw(broker: Broker, stop: Stop) -> None:
    park(broker, [slow() for _ in range(BATCH_SIZE + 1)])
    seen: list[Rejection] = []

    def visit(rejections: Sequence[Rejection]) -> None:
        seen.extend(rejections)
        stop.request()

    result = look(
        broker, VALIDATOR, EVERYTHING, visit, stop=stop, on_progress=lambda _looked, _total: None
    )
    assert result.interrupted
    assert 0 < result.looked == len(seen) < BATCH_SIZE + 1


def test_an_empty_queue_is_looked_at_in_no_time(broker: Broker, stop: Stop) -> None:
    result = look_at(broker, stop)
    assert (result.looked, result.selected, result.most_deliveries) == (0, 0, 0)
