"""`dlmon produce` as people run it, over a local broker."""

from __future__ import annotations

import gzip
import json
import lzma
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import pairwise
from operator import sub
from pathlib import Path

import orjson
import pexpect
import pytest

from dlmon.config.settings import Settings
from dlmon.messages import PUBLISHED_AT
from dlmon.sources.base import VALID
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from tests.conftest import settings_for
from tests.support.dlmon import Dlmon
from tests.support.events import make_body
from tests.support.ledger import read_ledger
from tests.support.messages import PATIENCE, wait_until

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@pytest.fixture
def settings(tmp_path: Path, namespace: str) -> Settings:
    return settings_for(f"sqlite:///{tmp_path / 'broker.db'}", namespace, tmp_path)


@pytest.fixture
def dlmon(settings: Settings, tmp_path: Path) -> Dlmon:
    return Dlmon(settings, tmp_path)


Arrived = Callable[[], list[tuple[str, bytes, int]]]


@pytest.fixture
def arrived(settings: Settings, tmp_path: Path) -> Arrived:
    """Id, body and time of publishing (ms) of everything in arrivals, in order."""

    def look() -> list[tuple[str, bytes, int]]:
        if not (tmp_path / "broker.db").exists():
            return []
        with closing(sqlite3.connect(tmp_path / "broker.db")) as database:
            try:
                rows = database.execute(
                    "SELECT message_id, body, headers FROM message WHERE queue = ? ORDER BY id",
                    [f"{settings.namespace}.arrivals"],
                ).fetchall()
            except sqlite3.OperationalError:  # the table is not there yet
                return []
        return [(one, body, json.loads(headers)[PUBLISHED_AT]) for one, body, headers in rows]

    return look


def test_every_produced_event_is_stored_or_rejected_as_its_ledger_says(
    dlmon: Dlmon, tmp_path: Path
) -> None:
    produced = dlmon(
        "produce", "--rate", "0", "--count", "3000", "--invalid", "20%", "--ledger", "ledger"
    )
    assert (produced.returncode, produced.stdout) == (0, "")
    assert "3,000 sent, 3,000 confirmed" in produced.stderr
    planned, confirmed = read_ledger(tmp_path / "ledger")
    assert planned.total() == confirmed.total() == 3_000

    consumed = dlmon("consume", "--until-empty", "--store", "sqlite:///events.db")
    assert consumed.returncode == 0, consumed.stderr
    rejects = dlmon("inspect-rejects", "--json").stdout.splitlines()
    outcome = Counter((one["message_id"], one["code"]) for one in map(orjson.loads, rejects))
    with closing(sqlite3.connect(tmp_path / "events.db")) as database:
        for (event_id,) in database.execute("SELECT event_id FROM events"):
            outcome[event_id, VALID] += 1
    assert outcome == planned


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _confirms(ledger: Path) -> bool:
    return b'"confirmed"' in ledger.read_bytes()


def _is_larger(path: Path, size: int) -> bool:
    return _size(path) > size


def test_a_killed_producer_has_on_the_broker_what_it_confirmed_and_nothing_unplanned(
    dlmon: Dlmon, tmp_path: Path, arrived: Arrived
) -> None:
    chance = random.Random(0)
    ledger = tmp_path / "ledger"
    kills = 5
    for number in range(kills):
        size = _size(ledger)
        process = dlmon.start("produce", "--rate", "0", "--invalid", "5%", "--ledger", str(ledger))
        wait_until(partial(_is_larger, ledger, size))
        if number % 2:
            wait_until(partial(_confirms, ledger))
        time.sleep(chance.uniform(0, 0.3))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, number
    planned, confirmed = read_ledger(ledger)
    ids = Counter(message_id for message_id, _ in planned.elements())
    there = Counter(message_id for message_id, _, _ in arrived())
    assert confirmed.total() > 0
    assert confirmed <= there <= ids

    # And the next one finds everything in order.
    assert dlmon("produce", "--count", "10", "--rate", "0").returncode == 0
    assert len(arrived()) == there.total() + 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_leaves_nothing_unconfirmed(
    dlmon: Dlmon, arrived: Arrived, number: signal.Signals
) -> None:
    process = dlmon.start("produce", "--rate", "0")
    wait_until(lambda: len(arrived()) > 1_000)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    count = len(arrived())
    assert process.returncode == 0
    assert f"{count:,} sent, {count:,} confirmed" in err


def test_a_stop_does_not_wait_for_the_next_event(dlmon: Dlmon, arrived: Arrived) -> None:
    process = dlmon.start("produce", "--rate", "0.01")
    wait_until(lambda: len(arrived()) == 1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)  # the next one is due in 100 s
    assert process.returncode == 0


def test_a_rate_for_a_time_is_exact(dlmon: Dlmon, arrived: Arrived) -> None:
    result = dlmon("produce", "--rate", "200", "--duration", "3s")
    assert result.returncode == 0, result.stderr
    times = [at for _, _, at in arrived()]
    assert len(times) == 600
    # Up to a quarter of a second is caught up; what the machine stood still longer is not.
    stalled = sum(gap for gap in map(sub, times[1:], times) if gap > 200)
    assert 2_900 < times[-1] - times[0] < 3_100 + stalled
    for number, at in enumerate(times):
        assert -50 < at - times[0] - number * 5 < 200 + stalled


def test_after_a_stall_nothing_comes_in_a_burst(dlmon: Dlmon, arrived: Arrived) -> None:
    process = dlmon.start("produce", "--rate", "200")
    wait_until(lambda: len(arrived()) > 100)
    process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    process.send_signal(signal.SIGCONT)
    before = len(arrived())
    wait_until(lambda: len(arrived()) > before + 200)
    process.terminate()
    process.communicate(timeout=PATIENCE)
    times = [at for _, _, at in arrived()]
    assert max(later - earlier for earlier, later in pairwise(times)) > 1_500
    # No 500 ms have more than their share, and the quarter of a second that is caught up.
    for start, at in enumerate(times):
        assert sum(other - at < 500 for other in times[start:]) <= 0.75 * 200 + 2


def test_printed_events_need_no_broker_and_are_the_same_for_the_same_seed(
    dlmon: Dlmon, tmp_path: Path
) -> None:
    arguments = ["--seed", "1", "--start", "2026-03-01T12:00:00Z", "--rate", "0", "--count", "500"]
    first = dlmon("produce", "--to-stdout", *arguments, "--ledger", "ledger")
    assert first.returncode == 0
    assert "500 printed" in first.stderr
    bodies = first.stdout.encode().splitlines()
    validator = Validator(load_schema())
    assert len(bodies) == 500
    assert all(validator.validate(body).valid for body in bodies)
    assert not (tmp_path / "broker.db").exists()
    planned, confirmed = read_ledger(tmp_path / "ledger")
    assert planned == Counter((orjson.loads(body)["event_id"], VALID) for body in bodies)
    assert confirmed.total() == 0
    assert dlmon("produce", "--to-stdout", *arguments).stdout == first.stdout


def test_when_nobody_reads_what_is_printed_it_ends_quietly(dlmon: Dlmon) -> None:
    process = dlmon.start("produce", "--to-stdout", "--rate", "0")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith('{"event_id"')
    process.stdout.close()
    assert process.wait(timeout=PATIENCE) == 0
    assert [line for line in process.stderr if "INFO" not in line] == []
    process.stderr.close()


@pytest.mark.parametrize("packed", [False, True])
def test_recorded_events_go_out_whatever_they_say(
    dlmon: Dlmon, tmp_path: Path, arrived: Arrived, packed: bool
) -> None:
    lines = [make_body(), b"\xff", b'{"event_id":"x"}', make_body(file_size=-1), make_body()]
    content = b"\r\n".join([*lines[:2], b"", *lines[2:]])
    (tmp_path / "events").write_bytes(gzip.compress(content) if packed else content)
    result = dlmon("produce", "--from", "events", "--rate", "0", "--ledger", "ledger")
    assert result.returncode == 0
    assert "5 sent, 5 confirmed" in result.stderr
    assert "2 valid, 3 to be rejected" in result.stderr
    assert [body for _, body, _ in arrived()] == lines
    planned, _ = read_ledger(tmp_path / "ledger")
    assert Counter(verdict for _, verdict in planned) == {
        VALID: 2,
        "not-utf8": 1,
        "required": 1,
        "minimum": 1,
    }


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress}


@pytest.mark.parametrize("compression", COMPRESSORS)
@pytest.mark.parametrize("layout", ["lines", "array", "pretty", "CR"])
def test_files_of_any_layout_and_packing_are_sent_event_by_event(
    dlmon: Dlmon, tmp_path: Path, arrived: Arrived, compression: str, layout: str
) -> None:
    events = [json.dumps(json.loads(make_body()), indent=2).encode() for _ in range(3)]
    if layout in ("lines", "CR"):
        events = [event.replace(b"\n", b"") for event in events]
    separator = {"lines": b"\n", "CR": b"\r", "array": b",\n", "pretty": b"\n"}[layout]
    content = separator.join(events)
    if layout == "array":
        content = b"[%b]" % content
    packed = COMPRESSORS[compression](content)
    (tmp_path / "events").write_bytes(packed)
    with (tmp_path / "events").open("rb") as stdin:
        for name in ("events", "-"):
            stdin.seek(0)
            done = subprocess.run(
                dlmon.command("produce", "--from", name, "--rate", "0", "--ledger", "ledger"),
                env=dlmon.environment,
                cwd=tmp_path,
                stdin=stdin,
                capture_output=True,
                text=True,
                timeout=180,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert "3 sent, 3 confirmed" in done.stderr
            assert "to be rejected" not in done.stderr
    assert [body for _, body, _ in arrived()] == events * 2


@pytest.mark.parametrize("compression", COMPRESSORS)
@pytest.mark.parametrize("damage", ["cut off", "damaged"])
def test_damaged_data_ends_it_after_the_events_before_it(
    dlmon: Dlmon, tmp_path: Path, arrived: Arrived, compression: str, damage: str
) -> None:
    events = [make_body() for _ in range(2_000)]
    first, second = (
        COMPRESSORS[compression](b"".join(event + b"\n" for event in half))
        for half in (events[:1_000], events[1_000:])
    )
    half = len(second) // 2
    broken = second[:half] + (b"" if damage == "cut off" else bytes(40) + second[half + 40 :])
    (tmp_path / "events").write_bytes(first + broken)
    done = dlmon("produce", "--from", "events", "--rate", "0", "--ledger", "ledger")
    sent = len(arrived())
    assert done.returncode == 2
    assert f"its {compression} data is {damage}" in done.stderr
    assert f"{sent:,} sent, {sent:,} confirmed" in done.stderr
    assert 1_000 <= sent < 2_000
    # What follows comes from damaged data: gzip and zstd compare checksums at the end.
    assert [body for _, body, _ in arrived()][:1_000] == events[:1_000]
    _, confirmed = read_ledger(tmp_path / "ledger")
    assert confirmed.total() == sent


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[1, 2 3]", "events:1:7: a comma is missing before this value"),
        (b"[1, 2", "events:1:6: the array does not end"),
        (make_body().decode().encode("utf-16"), "events:1:1: UTF-16"),
        (lzma.compress(make_body()), "it is xz data. Unpack it first, with `xz -dc`"),
    ],
    ids=["comma", "end", "utf-16", "xz"],
)
def test_what_is_no_file_of_events_is_never_sent_as_scraps(
    dlmon: Dlmon, tmp_path: Path, arrived: Arrived, content: bytes, words: str
) -> None:
    (tmp_path / "events").write_bytes(content)
    done = dlmon("produce", "--from", "events", "--rate", "0")
    assert done.returncode == 2
    assert words in done.stderr
    assert {body for _, body, _ in arrived()} <= {b"1", b"2"}


def test_printed_events_are_one_a_line_also_from_several_lines(
    dlmon: Dlmon, tmp_path: Path
) -> None:
    event = json.loads(make_body())
    (tmp_path / "events").write_text(json.dumps([event, event], indent=1))
    done = dlmon("produce", "--from", "events", "--rate", "0", "--to-stdout")
    assert list(map(json.loads, done.stdout.splitlines())) == [event, event]
    assert dlmon("produce", "--format", "json", "--to-stdout").returncode == 2


def test_large_events_through_a_pipe_come_as_fast_as_they_are_written(dlmon: Dlmon) -> None:
    # None waits for the next look at the pipe, which has room for one at a time.
    events = "".join(f"{make_body(note='x' * 60_000).decode()}\n" for _ in range(600))
    tries: list[float] = []
    while not tries or (min(tries) >= 5 and len(tries) < 5):
        started = time.monotonic()
        done = dlmon("produce", "--from", "-", "--rate", "0", "--to-stdout", stdin=events)
        tries.append(time.monotonic() - started)
        assert done.stdout == events
    # A busy machine may take as long by itself, but not each time.
    assert min(tries) < 5, f"{tries} s; 6 s would be 10 ms an event"


def test_a_slow_stdin_delays_neither_its_events_nor_a_stop(dlmon: Dlmon, arrived: Arrived) -> None:
    with dlmon.start("produce", "--from", "-", "--rate", "0", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(f"{make_body().decode()}\n{make_body().decode()[:50]}")
        process.stdin.flush()
        wait_until(lambda: len(arrived()) == 1)
        process.terminate()
        # Not communicate(), which would close stdin.
        assert process.wait(timeout=PATIENCE) == 0
    assert len(arrived()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "x", "--seed", "1", "--invalid", "5%"], "--seed and --invalid cannot"),
        (["--from", "x", "--start", "1h", "--fault", "empty"], "--start and --fault cannot"),
        (["--to-stdout", "--broker", "local", "--no-declare"], "--broker and --declare cannot"),
        (["--from", "nowhere"], "Cannot read nowhere: No such file"),
        (["--rate", "-1"], "--rate: expected 0, or 0.001 to 1,000,000"),
        (["--rate", "nan"], "--rate: expected"),
        (["--rate", "inf"], "--rate: expected"),
        (["--duration", "soon"], "--duration: expected such as 30s"),
        (["--duration", "0"], "--duration: expected more than nothing"),
        (["--invalid", "5"], "--invalid: expected 0% to 100%, or 0 to 1, got '5'"),
        (["--invalid", "101%"], "--invalid: expected"),
        (["--fault", "emty"], "Did you mean empty"),
        (["--start", "yesterday"], "--start: 'yesterday' is not"),
        (["--slow", "country=XX:0.5"], "--slow: no simulated downloads are in a country 'XX'"),
        (["--from", "x", "--slow", "country=IE:0.5"], "--slow cannot be used with --from"),
        (["--ledger", "missing/ledger"], "Cannot write the ledger missing/ledger"),
        (["--schema", "nowhere", "--ledger", "l"], "Cannot read the schema nowhere"),
    ],
)
def test_wrong_usage_is_explained_in_a_line_before_anything_is_sent(
    dlmon: Dlmon, arrived: Arrived, arguments: list[str], words: str
) -> None:
    result = dlmon("produce", *arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("dlmon: ")
    assert words in line
    assert arrived() == []


def test_an_unreachable_broker_is_reported_without_its_password(dlmon: Dlmon) -> None:
    result = dlmon("produce", "--broker", "amqp://user:geheim@127.0.0.1:1/")
    assert result.returncode == 3
    assert "Cannot reach" in result.stderr
    assert "geheim" not in result.stderr
    assert len(result.stderr.splitlines()) <= 2


def test_a_terminal_shows_what_was_sent_and_confirmed_and_how_fast(dlmon: Dlmon) -> None:
    terminal = dlmon.on_terminal("produce", "--rate", "50", "--invalid", "10%")
    terminal.expect(r"dlmon produce  \S*\d+ sent, \d+ confirmed +\d+(\.\d+)?/s")
    terminal.expect(r"1\d\d sent, 1\d\d confirmed +[45]\d(\.\d)?/s")
    terminal.sendintr()
    terminal.expect(r"\d+ sent, \d+ confirmed in [\d.]+ s \([45]\d(\.\d)?/s\): \d+ valid")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def test_events_on_a_terminal_are_not_mixed_with_progress(dlmon: Dlmon) -> None:
    terminal = dlmon.on_terminal("produce", "--to-stdout", "--count", "3", "--rate", "0")
    terminal.expect(pexpect.EOF)
    terminal.close()
    lines = str(terminal.before).splitlines()
    assert all(line.startswith('{"event_id"') for line in lines[:3])
    assert lines[3].startswith("3 printed in")
    assert len(lines) == 4
