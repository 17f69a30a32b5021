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
from dlmon.sources.simulation.activity import activity, speed_factor
from dlmon.sources.simulation.cities import load_cities
from dlmon.sources.simulation.faults import FAULTS, find_faults
from dlmon.stores.sqlite import SqliteStore
from dlmon.validation.schema import Schema, load_schema
from dlmon.validation.validator import Validator
from tests.support.events import make_entry

START = from_rfc3339("2026-03-01T12:00:00Z")
HOUR = 3_600_000  # milliseconds


def test_with_a_start_the_same_seed_gives_the_same_events_however_they_are_taken() -> None:
    at_once = Simulation(seed=7, start=START, invalid=0.2).take(300)
    little_by_little = Simulation(seed=7, start=START, invalid=0.2)
    assert [event for count in (1, 0, 99, 200) for event in little_by_little.take(count)] == at_once
    assert Simulation(seed=8, start=START).take(1)[0].message_id != at_once[0].message_id


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


@pytest.mark.parametrize("start", ["2026-03-01T12:00:00Z", "9999-12-31T23:59:00Z"])
def test_the_message_id_is_the_event_id_a_uuid_that_begins_with_the_time(start: str) -> None:
    for event in Simulation(seed=1, start=from_rfc3339(start), interval=0.5).take(100):
        body = orjson.loads(event.body)
        event_id = body["event_id"]
        assert event_id == event.message_id == str(uuid.UUID(event_id))
        assert (uuid.UUID(event_id).version, uuid.UUID(event_id).variant) == (7, uuid.RFC_4122)
        assert uuid.UUID(event_id).int >> 80 == from_rfc3339(body["timestamp"])


@pytest.mark.parametrize(
    ("start", "interval"),
    [(None, 0.1), (START, 1e-6), (from_rfc3339("1969-12-31T23:59:59.999Z"), 0.0001)],
)
def test_ids_ascend_also_within_a_millisecond_and_across_1970(
    start: int | None, interval: float
) -> None:
    simulation = Simulation(seed=1, start=start, interval=interval)
    ids = [event.message_id for _ in range(2) for event in simulation.take(20_000)]
    assert all(former < latter for former, latter in pairwise(ids))


def test_before_1970_the_time_of_an_id_is_nothing_and_ids_are_unique() -> None:
    start = from_rfc3339("0001-01-01T00:00:00Z")
    ids = {event.message_id for event in Simulation(seed=1, start=start).take(1_000)}
    assert len(ids) == 1_000
    assert {uuid.UUID(one).int >> 80 for one in ids} == {0}


def test_a_clock_that_is_set_back_does_not_lower_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(seed=1)
    first = simulation.take(1)[0].message_id
    an_hour_ago = time.time_ns() - 3_600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: an_hour_ago)
    assert simulation.take(1)[0].message_id > first


def test_in_the_night_of_a_place_few_downloads_come_from_there() -> None:
    monday = from_rfc3339("2026-03-02T00:00:00Z")
    events = [
        orjson.loads(event.body)
        for event in Simulation(seed=1, start=monday, interval=14).take(24 * 3_600 // 14)
    ]
    by_local_hour = Counter(
        int(from_rfc3339(event["timestamp"]) / HOUR + event["coordinates"]["longitude"] / 15) % 24
        for event in events
    )
    assert 4 * sum(by_local_hour[hour] for hour in (2, 3, 4, 5)) < sum(
        by_local_hour[hour] for hour in (18, 19, 20, 21)
    )


def test_people_sleep_longer_on_weekends_and_share_their_lines_in_the_evening() -> None:
    sunday, monday = (from_rfc3339(f"2026-03-0{day}T00:00:00Z") // HOUR for day in (1, 2))
    assert activity(sunday + 7, 0) < activity(monday + 7, 0)
    assert activity(sunday + 15, 0) > activity(monday + 15, 0)
    assert activity(sunday + 23, 150) == activity(monday + 9, 0)  # it is Monday there
    assert activity(monday, -150) == activity(sunday + 14, 0)  # it is still Sunday there
    assert [hour for hour in range(24) if speed_factor(monday + hour, 0) < 1] == [19, 20, 21, 22]


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
