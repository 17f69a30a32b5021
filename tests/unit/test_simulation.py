from __future__ import annotations

import re
import statistics
import time
import uuid
from collections import Counter
from itertools import pairwise
from pathlib import Path

import orjson
import pytest

from dlmon.errors import UsageError
from dlmon.runtime.timestamps import from_rfc3339
from dlmon.sources.base import VALID, ValidatedSource
from dlmon.sources.simulation import Simulation
from dlmon.sources.simulation.cities import load_cities
from dlmon.sources.simulation.faults import FAULTS, find_faults
from dlmon.stores.sqlite import SqliteStore
from dlmon.validation.schema import Schema, load_schema
from dlmon.validation.validator import Validator
from tests.support.events import make_entry

START = from_rfc3339("2026-03-01T12:00:00Z")


def test_the_same_seed_gives_the_same_ids_and_places_however_they_are_taken() -> None:
    at_once = Simulation(seed=7, invalid=0.2).take(300)
    little_by_little = Simulation(seed=7, invalid=0.2)
    again = [event for count in (1, 0, 99, 200) for event in little_by_little.take(count)]
    assert [(e.message_id, e.verdict) for e in again] == [
        (e.message_id, e.verdict) for e in at_once
    ]
    assert Simulation(seed=8).take(1)[0].message_id != at_once[0].message_id


def test_with_a_start_whole_bodies_are_the_same() -> None:
    first = Simulation(seed=7, start=START, invalid=0.2).take(300)
    assert Simulation(seed=7, start=START, invalid=0.2).take(300) == first


def test_without_a_seed_no_two_runs_have_an_id_in_common() -> None:
    ids = {event.message_id for _ in range(2) for event in Simulation().take(100)}
    assert len(ids) == 200


def test_timestamps_begin_at_the_start_and_follow_the_interval() -> None:
    simulation = Simulation(start=START, interval=1 / 3)
    stamps = [
        orjson.loads(event.body)["timestamp"]
        for event in [*simulation.take(2), *simulation.take(2)]
    ]
    assert stamps == [
        f"2026-03-01T12:00:{second}Z" for second in ("00.000", "00.333", "00.666", "01.000")
    ]


def test_without_a_start_timestamps_are_those_of_the_clock() -> None:
    before = time.time_ns() // 1_000_000
    [event] = Simulation(seed=1).take(1)
    stamp = from_rfc3339(orjson.loads(event.body)["timestamp"])
    assert before <= stamp <= time.time_ns() // 1_000_000


def test_time_ends_with_the_year_9999() -> None:
    simulation = Simulation(start=from_rfc3339("9999-12-31T23:59:59Z"), interval=0.5)
    assert len(simulation.take(2)) == 2
    with pytest.raises(UsageError, match="year 9999"):
        simulation.take(1)


def test_time_begins_with_the_year_1() -> None:
    with pytest.raises(UsageError, match="before the year 1 in UTC: start later"):
        Simulation(start=from_rfc3339("0001-01-01T00:00:00+23:59"), interval=0.5).take(1)


def test_every_event_is_valid_and_fits_the_store(tmp_path: Path) -> None:
    events = Simulation(seed=1).take(5_000)
    validator = Validator(load_schema())
    assert all(validator.validate(event.body).valid for event in events)
    with SqliteStore(tmp_path / "events.db") as store:
        written = store.write([make_entry(event.body) for event in events])
    assert len(written.stored) == 5_000
    assert {event.verdict for event in events} == {VALID}


def test_the_message_id_is_the_event_id_a_random_uuid() -> None:
    for event in Simulation(seed=1).take(100):
        event_id = orjson.loads(event.body)["event_id"]
        assert event_id == event.message_id == str(uuid.UUID(event_id))
        assert (uuid.UUID(event_id).version, uuid.UUID(event_id).variant) == (4, uuid.RFC_4122)


def test_downloads_are_where_people_are_with_long_tails() -> None:
    events = [orjson.loads(event.body) for event in Simulation(seed=1).take(10_000)]
    speeds = [event["download_speed"] for event in events]
    sizes = [event["file_size"] for event in events]
    assert 10 < statistics.median(speeds) < 100
    assert 5e6 < statistics.median(sizes) < 12e6
    for values in (speeds, sizes):
        assert statistics.mean(values) > 1.3 * statistics.median(values)

    cities = load_cities()
    near = 0
    for event in events[:1_000]:
        latitude, longitude = event["coordinates"].values()
        near += any(
            abs(city.latitude - latitude) < 0.2 and abs(city.longitude - longitude) < 0.3
            for city in cities
        )
    assert near > 900


def test_the_cities_are_sorted_in_range_and_not_few() -> None:
    cities = load_cities()
    assert 300 <= len(cities) <= 1_000
    assert all(former.population >= latter.population for former, latter in pairwise(cities))
    for city in cities:
        assert -90 < city.latitude < 90
        assert -180 <= city.longitude <= 180
        assert re.fullmatch("[A-Z]{2}", city.country)
        assert city.continent in {"AF", "AS", "EU", "NA", "OC", "SA"}
    assert len({city.country for city in cities}) > 100


def test_the_share_of_invalid_events_changes_nothing_about_the_others() -> None:
    sound = Simulation(seed=3, start=START).take(2_000)
    some = Simulation(seed=3, start=START, invalid=0.05).take(2_000)
    broken = [event for event in some if event.verdict != VALID]
    assert 60 < len(broken) < 140
    assert all(event in sound for event in some if event.verdict == VALID)


def test_every_kind_has_its_turn() -> None:
    events = Simulation(seed=3, invalid=1.0).take(10 * len(FAULTS))
    kinds = Counter(event.verdict for event in events)
    expected = Counter(fault.code for fault in FAULTS for _ in range(10))
    # The first time that an id should conflict, there is none yet that is taken.
    expected["id-conflict"] -= 1
    assert kinds == expected + Counter({VALID: 1})


def test_chosen_faults_are_the_only_ones() -> None:
    faults = find_faults(["too-large", "empty", "empty"])
    events = Simulation(seed=3, invalid=1.0, faults=faults, max_event_bytes=500).take(10)
    assert Counter(event.verdict for event in events) == {"too-large": 5, "not-json": 5}
    assert sorted(len(event.body) > 500 for event in events) == [False] * 5 + [True] * 5


def test_an_unknown_kind_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"Did you mean truncated\?.*not-utf8") as caught:
        find_faults(["truncate"])
    assert caught.value.exit_code == 2


def test_by_another_schema_the_verdict_is_another_one() -> None:
    lenient = Validator(Schema({"type": "object", "required": ["event_id"]}, "lenient"))
    kinds = ["file-size-type", "event-id-missing", "timestamp-leap-second", "not-utf8"]
    source = Simulation(seed=1, invalid=1.0, faults=find_faults(kinds))
    judged = ValidatedSource(source, lenient).take(len(kinds))
    assert Counter(event.verdict for event in judged) == Counter(
        [VALID, "required", "unstorable", "not-utf8"]
    )
