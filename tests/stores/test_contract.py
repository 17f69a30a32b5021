"""What every store promises."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from dlmon.errors import EventsRefused, StoreUnavailable
from dlmon.stores import open_reader
from dlmon.stores.base import Store, write_isolating
from dlmon.stores.reading import Sample
from tests.stores.conftest import Place
from tests.support.events import make_body, make_entry, make_event

every_store = pytest.mark.parametrize(
    "place", ["sqlite", "postgresql", "postgresql by COPY", "webhook", "ndjson"], indirect=True
)
every_store_that_keeps_identity = pytest.mark.parametrize(
    "place", ["sqlite", "postgresql", "postgresql by COPY"], indirect=True
)


@every_store
def test_events_are_stored_byte_for_byte_in_their_order(store: Store, place: Place) -> None:
    numbers = make_body().replace(b"12.772", b"1.2772e1")
    odd = make_body(note='é\x7f \u2028 \0 "\\', deep=[[[{"": None}]]])
    bodies = [make_body(), numbers, odd, b" " + make_body() + b" ", make_body()]
    entries = [make_entry(body) for body in bodies]
    assert store.write(entries[:3]).stored == entries[:3]
    assert store.write(entries[3:]).stored == entries[3:]
    assert place.bodies() == bodies


@every_store_that_keeps_identity
def test_events_are_read_back_with_their_ids_and_bytes(store: Store, place: Place) -> None:
    times = ("0001-01-01T00:00:00Z", "2026-03-01T12:00:00Z", "2026-03-01T12:00:00.001Z")
    bodies = [make_body(timestamp=at, note='é \u2028 \0 "\\') for at in times]
    entries = [*map(make_entry, bodies), make_entry(make_body(event_id="Été-1"))]
    store.write(entries)
    noon = 1_772_366_400_000
    with open_reader(place.address) as reader:
        batches = [*reader.read_events(-62_135_596_800_000, noon + 10, 3)]
        found = [one for batch in batches for one in batch]
        at_noon = [one for batch in reader.read_events(noon, noon + 1, 3) for one in batch]
    read_back = {(one.event_id, one.body) for one in found}
    assert read_back == {(one.event_id.lower(), one.body) for one in entries}
    assert {one.body for one in at_noon} == {bodies[1], entries[3].body}
    assert {one.sample for one in at_noon} == {Sample(noon, 51.935739, -8.38847, 1_596_500, 12.772)}


@every_store
def test_a_batch_without_events_is_written_without_a_trace(store: Store, place: Place) -> None:
    written = store.write([])
    assert [*written.stored, *written.duplicates, *written.refused] == []
    store.write([make_entry(make_body())])
    assert len(place.bodies()) == 1


@every_store
def test_a_store_that_is_broken_is_unavailable_and_works_again_afterwards(
    store: Store, place: Place
) -> None:
    first, second = make_entry(make_body()), make_entry(make_body())
    store.write([first])
    with place.broken():
        with pytest.raises(StoreUnavailable):
            store.write([second])
        with pytest.raises(StoreUnavailable):
            store.probe()
    assert place.bodies() == [first.body]
    store.probe()
    store.write([second])
    assert [first.body, second.body] == list(dict.fromkeys(place.bodies()))


@pytest.mark.parametrize(
    "place", ["sqlite", "postgresql", "postgresql by COPY", "webhook"], indirect=True
)
def test_an_event_that_the_store_refuses_is_found_among_its_neighbours(
    store: Store, place: Place
) -> None:
    place.be_picky()
    entries = [make_entry(make_body(file_size=size)) for size in range(20)]
    with pytest.raises(EventsRefused, match="thirteens"):
        store.write(entries)
    assert place.bodies() == []
    parts = list(write_isolating(store, [entries]))
    assert [entry for part in parts for entry in part.stored] == entries[:13] + entries[14:]
    ((refused, violation),) = [pair for part in parts for pair in part.refused]
    assert refused is entries[13]
    assert violation.code == "unstorable"
    assert "thirteens" in violation.reason
    assert place.bodies() == [entry.body for entry in entries[:13] + entries[14:]]


@every_store
def test_closing_twice_does_no_harm(store: Store) -> None:
    store.close()


@every_store_that_keeps_identity
def test_the_same_bytes_again_are_a_duplicate_and_other_bytes_a_conflict(
    store: Store, place: Place
) -> None:
    first = make_body()
    event_id = orjson.loads(first)["event_id"]
    other = make_body(event_id=event_id, file_size=1)
    store.write([make_entry(first)])
    new = make_entry(make_body())
    written = store.write([make_entry(first), new, make_entry(other)])
    assert written.stored == [new]
    assert [entry.body for entry in written.duplicates] == [first]
    ((refused, violation),) = written.refused
    assert (refused.body, violation.code, violation.path) == (other, "id-conflict", "/event_id")
    assert place.bodies() == [first, new.body]


@every_store_that_keeps_identity
def test_duplicates_and_conflicts_are_told_apart_inside_one_batch(store: Store) -> None:
    first = make_body()
    other = make_body(event_id=orjson.loads(first)["event_id"], file_size=1)
    written = store.write([make_entry(body) for body in (first, other, first)])
    assert [entry.body for entry in written.stored] == [first]
    assert [entry.body for entry in written.duplicates] == [first]
    assert [(entry.body, violation.code) for entry, violation in written.refused] == [
        (other, "id-conflict")
    ]


@every_store_that_keeps_identity
def test_ids_that_differ_in_case_only_are_the_same_id(store: Store) -> None:
    body = make_body(event_id="ABCDEF00-0000-4000-8000-000000000000")
    lowered = make_body(event_id="abcdef00-0000-4000-8000-000000000000")
    store.write([make_entry(body)])
    written = store.write([make_entry(lowered)])
    assert [violation.code for _, violation in written.refused] == ["id-conflict"]


@every_store_that_keeps_identity
@pytest.mark.parametrize(
    ("changes", "pointer", "reason"),
    [
        ({"timestamp": "2016-12-31T23:59:60Z"}, "/timestamp", "second"),
        ({"timestamp": "0000-01-01T00:00:00Z"}, "/timestamp", "year"),
        ({"timestamp": "9999-12-31T23:59:59-01:00"}, "/timestamp", "years 1 to 9999"),
        ({"timestamp": "2026-03-01T12:00:00"}, "/timestamp", "no offset"),
        ({"timestamp": "2026-03-01T12:00:00Z\0"}, "/timestamp", "NUL"),
        ({"event_id": "a\0b"}, "/event_id", "NUL"),
        ({"event_id": 7}, "/event_id", "not a string"),
        ({"file_size": 2**63}, "/file_size", "64 bits"),
        ({"file_size": 1e30}, "/file_size", "64 bits"),
        ({"file_size": 1.5}, "/file_size", "not an integer"),
        ({"file_size": True}, "/file_size", "not an integer"),
        ({"download_speed": 2**63}, "/download_speed", "64 bits"),
        ({"download_speed": "12"}, "/download_speed", "not a number"),
        ({"coordinates": [1, 2]}, "/coordinates/latitude", "needs /coordinates/latitude"),
        ({"coordinates": {"latitude": 1}}, "/coordinates/longitude", "needs"),
        ({"coordinates": {"latitude": None, "longitude": 1}}, "/coordinates/latitude", "number"),
    ],
)
def test_what_no_column_can_hold_is_refused_alone(
    store: Store, place: Place, changes: dict[str, Any], pointer: str, reason: str
) -> None:
    neighbours = [make_entry(make_body()) for _ in range(2)]
    bad = make_entry(make_body(**changes))
    written = store.write([neighbours[0], bad, neighbours[1]])
    assert written.stored == neighbours
    ((refused, violation),) = written.refused
    assert refused is bad
    assert (violation.code, violation.path) == ("unstorable", pointer)
    assert reason in violation.reason
    assert len(place.bodies()) == 2


@every_store_that_keeps_identity
@pytest.mark.parametrize("body", [b"[]", b"7", b'"text"', b"null", b"{}"])
def test_what_is_no_event_at_all_is_refused(store: Store, body: bytes) -> None:
    entry = make_entry(b"{}")._replace(body=body, event=orjson.loads(body))
    ((_, violation),) = store.write([entry]).refused
    assert (violation.code, violation.path) == ("unstorable", "/event_id")
    assert violation.reason == "the store needs /event_id"


@every_store_that_keeps_identity
def test_the_edges_of_what_columns_hold_are_stored(store: Store, place: Place) -> None:
    events = [
        make_event(file_size=2**63 - 1, download_speed=5e-324),
        make_event(file_size=0, download_speed=1, coordinates={"latitude": 0, "longitude": -180}),
        make_event(file_size=1.0, download_speed=1.7976931348623157e308),
        make_event(timestamp="0001-01-01T00:00:00Z"),
        make_event(timestamp="9999-12-31t23:59:59.999999999z"),
    ]
    entries = [make_entry(orjson.dumps(event)) for event in events]
    assert store.write(entries).stored == entries
    assert store.write(entries).duplicates == entries
    assert len(place.bodies()) == 5
