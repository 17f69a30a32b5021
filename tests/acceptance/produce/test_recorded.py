"""`dlmon produce --from` as people run it, over a local broker."""

from __future__ import annotations

import gzip
import json
import lzma
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from dlmon.sources.base import VALID
from tests.support.arrived import Arrived
from tests.support.dlmon import Dlmon
from tests.support.events import make_body
from tests.support.ledger import read_ledger
from tests.support.messages import PATIENCE, wait_until

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


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
