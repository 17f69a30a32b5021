"""The first thing that a newcomer types."""

from __future__ import annotations

import re
import signal
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from dlmon.brokers.local import LocalBroker
from dlmon.commands.demo import demo
from dlmon.commands.demo_anomaly import inject_slowdown
from dlmon.config.names import Names
from dlmon.config.settings import load_settings
from dlmon.errors import Interrupted
from dlmon.monitoring.observers import ConsumeObserver
from dlmon.runtime.stop import Stop
from dlmon.sources.pacing import Pace
from dlmon.sources.simulation import Simulation
from dlmon.stores.base import Entry, WriteResult
from dlmon.stores.sqlite import SqliteStore
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from tests.support.dlmon import Dlmon

_COUNTS = re.compile(r"([\d,]+) produced = ([\d,]+) stored \+ ([\d,]+) rejected, each")


@pytest.fixture
def dlmon(tmp_path: Path) -> Dlmon:
    return Dlmon(load_settings({"broker": "local"}, {}), tmp_path)


def counts(text: str) -> list[int]:
    match = _COUNTS.search(text)
    assert match is not None, text
    return [int(count.replace(",", "")) for count in match.groups()]


def test_it_adds_up_and_says_what_to_type_next(dlmon: Dlmon, tmp_path: Path) -> None:
    done = dlmon("demo", "--seconds", "1", "--rate", "300", "--invalid", "20")
    assert done.returncode == 0, done.stderr
    produced, stored, rejected = counts(done.stdout)
    assert (produced, stored + rejected) == (300, 300)
    assert rejected > 0
    assert "\x1b" not in done.stdout + done.stderr
    [database] = tmp_path.rglob("events.db")
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (stored,)
    assert "dlmon inspect-rejects --broker local" in done.stdout
    assert "dlmon report --by country --map" in done.stdout
    looked = dlmon("inspect-rejects", "--broker", "local")
    assert f"{rejected} rejects in dlmon.rejects" in looked.stdout


def test_a_second_time_it_adds_up_again(dlmon: Dlmon) -> None:
    for _ in range(2):
        done = dlmon("demo", "--seconds", "0.5", "--invalid", "50")
        assert done.returncode == 0, done.stdout + done.stderr
        produced, stored, rejected = counts(done.stdout)
        assert produced == stored + rejected == 100


def test_an_anomaly_that_it_made_is_found(dlmon: Dlmon) -> None:
    folder = dlmon.folder / ".local/share/dlmon"
    folder.mkdir(parents=True)
    for left in ("demo-anomaly.db", "demo-anomaly.db-wal"):
        (folder / left).write_bytes(b"left by another process")
    done = dlmon("demo", "--seconds", "0.5", "--anomaly")
    assert done.returncode == 0, done.stdout + done.stderr
    made = re.search(r"in ([\w ]+) at 0.4 of the speed from (\S+Z) to (\S+Z)\.", done.stdout)
    assert made is not None, done.stdout
    assert "The report finds it:" in done.stdout
    assert re.search(rf"^slow +{' +'.join(made.groups())} ", done.stdout, re.MULTILINE)
    store = done.stdout.split()[-1]
    assert "demo-anomaly.db" in store
    again = dlmon("report", "--anomalies", "--store", store)
    assert re.search(rf"^slow +{' +'.join(made.groups())} ", again.stdout, re.MULTILINE)
    # None of the downloads that were made for it is in the user's own store.
    assert count_in(folder / "events.db") == counts(done.stdout)[1]
    assert count_in(folder / "demo-anomaly.db") == 20_000


def count_in(store: Path) -> int:
    with closing(sqlite3.connect(store)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
    return int(count)


def test_a_stop_leaves_the_downloads_of_the_last_anomaly(tmp_path: Path) -> None:
    path = tmp_path / "anomaly.db"
    path.write_bytes(b"as it was")
    stop = Stop()
    stop.request()
    with pytest.raises(Interrupted):
        inject_slowdown(path, 496_000, stop)
    assert path.read_bytes() == b"as it was"
    assert [*tmp_path.iterdir()] == [path]


def test_on_a_terminal_it_draws(dlmon: Dlmon) -> None:
    with dlmon.on_terminal("demo", "--seconds", "2", "--rate", "500") as terminal:
        terminal.expect_exact("dlmon demo")
        terminal.expect_exact("published to stored: p50")
        terminal.expect_exact("last events")
        terminal.expect_exact("What to type next:")
        terminal.expect_exact("dlmon produce --broker local")
        terminal.expect_exact("Median in Mbit/s: 1 below 5")
        terminal.expect_exact("Slowest in Mbit/s:")
        terminal.wait()
        assert terminal.exitstatus == 0


def test_ctrl_c_ends_it_early_and_it_still_adds_up(dlmon: Dlmon) -> None:
    with dlmon.start("demo", "--seconds", "50") as process:
        assert process.stderr is not None
        assert "Consuming" in process.stderr.readline()
        # Before it come as many rejects as the first batch has.
        assert any("received" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=90)
    assert process.returncode == 0, stderr
    produced, stored, rejected = counts(stdout)
    assert produced == stored + rejected > 0


class Forgetful(SqliteStore):
    """Says that it stored what it did not."""

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        return WriteResult([*super().write(entries[1:]).stored, entries[0]])


def test_it_finds_out_when_something_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    validator = Validator(load_schema())
    with Forgetful(tmp_path / "events.db") as store:
        result = demo(
            lambda stop: LocalBroker(path, Names("demo"), stop),
            store,
            Simulation(seed=1),
            pace=Pace(100, 0.5),
            validator=validator,
            stop=Stop(),
            observer=ConsumeObserver(),
        )
    assert result.missing
    assert result.stored + len(result.missing) == result.produced.totals.sent == 50
    assert Counter(event.verdict for event in result.missing) == {"valid": len(result.missing)}
