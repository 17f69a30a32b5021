"""`dlmon produce` as people run it, over a local broker."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from functools import partial
from itertools import pairwise
from operator import sub
from pathlib import Path

import orjson
import pexpect
import pytest

from dlmon.sources.base import VALID
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from tests.support.arrived import Arrived
from tests.support.dlmon import Dlmon
from tests.support.ledger import read_ledger
from tests.support.messages import PATIENCE, wait_until


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
    lateness = [at - number * 5 for number, at in enumerate(times)]
    assert max(lateness) - min(lateness) < 250 + stalled
    # The first event may be one of the late ones, so that the rate is seen in the others.
    assert -50 < min(lateness[300:]) - min(lateness[:300]) < 50 + stalled


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
