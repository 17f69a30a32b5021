"""Reading a SQLite store where nothing can be written, and copies of it."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dlmon.stores.sqlite import SqliteStore
from dlmon.stores.sqlite_reader import SqliteReader
from tests.support.events import make_body, make_entry

READ = (
    "import sys; from pathlib import Path; from dlmon.stores.sqlite_reader import SqliteReader\n"
    "with SqliteReader(Path(sys.argv[1])) as reader:\n"
    "    print(sum(len(samples) for samples, _ in reader.read_after(None, 2)))"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of three events."""
    path = tmp_path / "store" / "events.db"
    with SqliteStore(path) as store:
        store.write([make_entry(make_body()) for _ in range(3)])
    return path


def read_from_read_only_media(path: Path) -> subprocess.CompletedProcess[str]:
    """What a process prints that sees the folder of the store as read-only."""
    mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"'
    namespace = ["unshare", "--mount", "sh", "-c", f'{mount} || exit 99; shift; exec "$@"', "sh"]
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    done = subprocess.run(
        [*namespace, str(path.parent), sys.executable, "-c", READ, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("file systems cannot be mounted here")
    return done


def test_a_store_on_read_only_media_is_read(path: Path) -> None:
    done = read_from_read_only_media(path)
    assert (done.stdout, done.stderr) == ("3\n", "")


def test_a_store_that_was_copied_to_read_only_media_with_its_log_says_what_it_needs_or_is_read(
    path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy" / "events.db"
    copy.parent.mkdir()
    with SqliteStore(path) as store:  # while it is open, the events are in the log
        store.write([make_entry(make_body())])
        for name in ("events.db", "events.db-wal"):
            shutil.copyfile(path.with_name(name), copy.with_name(name))
    done = read_from_read_only_media(copy)
    assert done.stdout == "4\n" or "its folder must be writable" in done.stderr


def test_a_copy_goes_on_where_its_store_was(path: Path, tmp_path: Path) -> None:
    with SqliteReader(path) as reader:
        identity = reader.identity
        *_, (_, cursor) = reader.read_after(None, 10)
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    with SqliteStore(copy) as store:
        store.write([make_entry(make_body())])
    with SqliteReader(copy) as reader:
        assert reader.identity == identity
        assert reader.knows(cursor)
        assert [len(samples) for samples, _ in reader.read_after(cursor, 10)] == [1]
    with SqliteReader(path) as reader:
        assert reader.knows(cursor)


def test_a_store_that_has_other_events_does_not_know_a_cursor(path: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    shutil.copyfile(path, backup)
    with SqliteStore(path) as store:
        store.write([make_entry(make_body())])
    with SqliteReader(path) as reader:
        *_, (_, cursor) = reader.read_after(None, 10)
    with SqliteReader(backup) as reader:
        assert not reader.knows(cursor)
    with SqliteStore(backup) as store:
        store.write([make_entry(make_body()) for _ in range(2)])
    with SqliteReader(backup) as reader:
        assert not reader.knows(cursor)
        assert not reader.knows("of another version")


def test_how_much_remains_is_known_without_counting(path: Path) -> None:
    with SqliteReader(path) as reader:
        assert reader.remaining(None) == 3
        cursors = [cursor for _, cursor in reader.read_after(None, 1)]
        assert [reader.remaining(cursor) for cursor in cursors] == [2, 1, 0]
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DELETE FROM stored_events WHERE row <= 2")
        assert [reader.remaining(cursor) for cursor in (None, *cursors)] == [1, 1, 1, 0]
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DELETE FROM stored_events")
        assert [reader.remaining(cursor) for cursor in (None, *cursors)] == [0, 0, 0, 0]


def test_the_newest_events_are_found_without_counting(path: Path) -> None:
    with SqliteReader(path) as reader:
        assert [reader.newest(count) for count in (3, 4)] == [None, None]
        cursor = reader.newest(1)
        assert cursor is not None
        assert reader.knows(cursor)
        assert reader.remaining(cursor) == 1
        older = [sample for samples, _ in reader.read_after(None, 1, cursor) for sample in samples]
        newer = [sample for samples, _ in reader.read_after(cursor, 1) for sample in samples]
        everything = [sample for samples, _ in reader.read_after(None, 9) for sample in samples]
        assert older + newer == everything
        assert len(newer) == 1
