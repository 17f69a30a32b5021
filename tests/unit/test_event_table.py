"""Events in a Parquet file: all of them, or no file."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlmon.errors import DlmonError, FileError, StoreUnavailable
from dlmon.runtime.stop import Stop
from dlmon.stores.reading import Sample, StoredEvent
from dlmon.stores.sqlite_reader import SqliteReader
from tests.support.samples import ListReader
from tests.unit.analysis.stores import Download, Events, everything

pytest.importorskip("arro3.io", reason="pip install 'dlmon[parquet]'")

DUBLIN = Sample(0, 53.35, -6.26, 2**53 - 1, 0.1)
NOWHERE = Sample(-62_135_596_800_000, 91.0, 0.0, 0, 0.0)


class BreakingReader(ListReader):
    """Breaks off behind the first events."""

    def read_events(self, start: int, end: int, limit: int) -> Iterator[list[StoredEvent]]:
        yield from super().read_events(start, end, limit)
        raise StoreUnavailable("the disk is gone")


def rows_of(path: Path) -> list[list[object]]:
    from arro3.io import read_parquet

    table = read_parquet(str(path)).read_all()
    columns = [table[name].to_pylist() for name in table.column_names]
    return [[*row] for row in zip(*columns, strict=True)]


@pytest.mark.parametrize(("where", "count"), [((), 3), (("country=IE",), 2), (("cell=u",), 0)])
def test_the_events_of_a_place_are_written_with_every_digit(
    tmp_path: Path, where: tuple[str, ...], count: int
) -> None:
    from dlmon.commands.event_table import write_events

    path = tmp_path / "events.parquet"
    reader = ListReader([DUBLIN, DUBLIN, NOWHERE])
    assert write_events(everything("hour", *where), reader, path, Stop()) == count
    rows = rows_of(path)
    assert len(rows) == count
    if count:
        assert rows[0][2:-1] == [53.35, -6.26, "IE", "gc7x", 2**53 - 1, 0.1]
    if count == 3:
        assert str(rows[2][1]).startswith("0001-01-01 00:00:00")
        assert rows[2][4:-1] == ["ZZ", "", 0, 0.0]


def test_ids_and_bodies_are_those_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dlmon.commands import event_table

    monkeypatch.setattr(event_table, "_READ", 3)
    monkeypatch.setattr(event_table, "_ROW_GROUP", 4)
    events = Events(tmp_path / "events.db")
    downloads = [*(Download(speed=speed) for speed in range(1, 9)), Download(event_id="no-uuid ÿ")]
    events.add(*downloads)
    path = tmp_path / "events.parquet"
    with SqliteReader(events.path) as reader:
        assert event_table.write_events(everything("hour"), reader, path, Stop()) == 9
    found = {str(event_id): str(body).encode() for event_id, *_, body in rows_of(path)}
    assert found == {one.event_id: one.entry().body for one in downloads}


def test_a_store_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    from dlmon.commands.event_table import write_events

    with pytest.raises(StoreUnavailable, match="the disk is gone"):
        write_events(everything("hour"), BreakingReader([DUBLIN]), tmp_path / "e.parquet", Stop())
    assert [*tmp_path.iterdir()] == []


def test_a_stop_leaves_no_file(tmp_path: Path) -> None:
    from dlmon.commands.event_table import write_events

    stop = Stop()
    stop.request()
    with pytest.raises(DlmonError, match="there is no file"):
        write_events(everything("hour"), ListReader([DUBLIN]), tmp_path / "e.parquet", stop)
    assert [*tmp_path.iterdir()] == []


def test_a_full_disk_is_an_error_in_words(tmp_path: Path) -> None:
    from dlmon.commands.event_table import write_events

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(FileError, match=r"Cannot write .*: File too large"):
            write_events(everything("hour"), ListReader([DUBLIN]), tmp_path / "e.parquet", Stop())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [*tmp_path.iterdir()] == []
