"""Speeds and sizes by continent, as `consume --metrics` counts them."""

from __future__ import annotations

from typing import Any

import pytest

from dlmon.analysis.geography import AT_SEA, NOWHERE, world
from dlmon.commands.continents import count_by_continent
from dlmon.monitoring.observers import ConsumeObserver
from dlmon.monitoring.prometheus import ConsumerMetrics
from dlmon.monitoring.totals import ConsumeTotals
from tests.support.events import make_body, make_entry

DUBLIN, NAIROBI, ATLANTIC = (53.35, -6.26), (-1.29, 36.82), (40.0, -40.0)


def at(place: tuple[float, float], **values: Any) -> bytes:
    return make_body(coordinates=dict(zip(("latitude", "longitude"), place, strict=True)), **values)


def counted(*bodies: bytes) -> ConsumeTotals:
    totals = ConsumeTotals()
    count_by_continent(totals, [make_entry(body) for body in bodies])
    return totals


def test_downloads_are_counted_where_they_were() -> None:
    totals = counted(
        at(DUBLIN, download_speed=10, file_size=2_000_000),
        at(DUBLIN, download_speed=30.5, file_size=4_000_000),
        at(NAIROBI, download_speed=5.0, file_size=0),
        at(ATLANTIC),
    )
    assert {code: one.speed.count for code, one in totals.continents.items()} == {
        "EU": 2,
        "AF": 1,
        AT_SEA: 1,
    }
    assert totals.continents["EU"].speed.total == 40.5
    assert totals.continents["EU"].size.total == 6_000  # kilobytes


@pytest.mark.parametrize(
    "values",
    [
        {"coordinates": None},
        {"coordinates": {"latitude": 1}},
        {"coordinates": {"latitude": "1", "longitude": 2}},
        {"coordinates": [1, 2]},
        {"download_speed": None},
        {"file_size": True},
    ],
    ids=str,
)
def test_events_of_another_schema_are_left_out_and_their_neighbours_are_not(
    values: dict[str, Any],
) -> None:
    totals = counted(at(DUBLIN), make_body(**values), b"[]", at(DUBLIN))
    assert totals.continents["EU"].speed.count == totals.continents["EU"].size.count == 2
    assert counted(b"{}").continents == counted().continents == {}


@pytest.mark.parametrize(
    ("place", "continent"),
    [((90.0, 0.0), AT_SEA), ((-90.0, 180.0), "AN"), ((91.0, 0.0), NOWHERE), ((0, -181), NOWHERE)],
)
def test_the_edges_of_the_world_have_a_continent(
    place: tuple[float, float], continent: str
) -> None:
    assert world().continents_of([place[0]], [place[1]]) == [continent]
    assert [*counted(at(place), at(DUBLIN)).continents] == [continent, "EU"]


def test_totals_of_consumers_add_up() -> None:
    totals = counted(at(DUBLIN), at(NAIROBI))
    totals.merge(counted(at(DUBLIN), at(ATLANTIC)))
    assert {code: one.size.count for code, one in totals.continents.items()} == {
        "EU": 2,
        "AF": 1,
        AT_SEA: 1,
    }


def test_prometheus_has_megabits_and_bytes() -> None:
    metrics = ConsumerMetrics(ConsumeObserver(), None)
    metrics.on_idle(counted(at(DUBLIN, download_speed=20, file_size=5_000_000_000)))
    found = {
        (sample.name, sample.labels.get("le", "")): sample.value
        for family in metrics.collect()
        for sample in family.samples
        if sample.labels.get("continent") == "EU"
    }
    assert found["dlmon_download_speed_megabits_bucket", "10.0"] == 0
    assert found["dlmon_download_speed_megabits_bucket", "25.0"] == 1
    assert found["dlmon_download_speed_megabits_sum", ""] == 20
    assert found["dlmon_download_size_bytes_bucket", "1000000000.0"] == 0
    assert found["dlmon_download_size_bytes_bucket", "10000000000.0"] == 1
    assert found["dlmon_download_size_bytes_sum", ""] == 5_000_000_000
