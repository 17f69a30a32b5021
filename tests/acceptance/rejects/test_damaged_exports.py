"""An export that is damaged somewhere: what comes before is replayed, and the receipt says so."""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.messages import Queue
from dlmon.rejects.export import to_line
from dlmon.validation.violations import Violation
from tests.conftest import settings_for
from tests.support.dlmon import Dlmon
from tests.support.events import make_body
from tests.support.rejections import ids, rejection

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

OLD = Violation("type", "/file_size", "what an older schema said")
LINES = [to_line(rejection(make_body(), OLD)) for _ in range(300)]
WHOLE = b"".join(LINES)
FIRST_HALF, SECOND_HALF = b"".join(LINES[:150]), b"".join(LINES[150:])


def gzip_damaged() -> bytes:
    data = bytearray(gzip.compress(FIRST_HALF) + gzip.compress(SECOND_HALF))
    data[-len(data) // 4 : -len(data) // 4 + 2] = b"\xff\xff"
    return bytes(data)


def gzip_cut_off() -> bytes:
    return gzip.compress(WHOLE)[:-5000]


def gzip_checksum() -> bytes:
    data = bytearray(gzip.compress(WHOLE))
    data[-8] ^= 1
    return bytes(data)


def gzip_garbage_behind() -> bytes:
    return gzip.compress(WHOLE) + b"garbage"


def zstd_damaged() -> bytes:
    # A frame of 16 bytes whose first block is of the type that RFC 8878 reserves.
    return zstd.compress(FIRST_HALF) + b"\x28\xb5\x2f\xfd\x20\x10" + b"\xff" * 100


def zstd_cut_off() -> bytes:
    return zstd.compress(FIRST_HALF) + zstd.compress(SECOND_HALF)[:-10]


def broken_line() -> bytes:
    return b"".join([*LINES[:200], b'{"message_id": 1}\n', *LINES[200:]])


def not_utf8() -> bytes:
    return b"".join([*LINES[:200], b"\xff\n", *LINES[200:]])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(f"sqlite:///{tmp_path / 'broker.db'}", "dlmon", tmp_path)


@pytest.mark.parametrize("from_stdin", [False, True], ids=["file", "stdin"])
@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (gzip_damaged, "its gzip data is damaged"),
        (gzip_cut_off, "its gzip data is cut off"),
        (gzip_checksum, "its gzip data is damaged"),
        (gzip_garbage_behind, "its gzip data is damaged"),
        (zstd_damaged, "its zstd data is damaged"),
        (zstd_cut_off, "its zstd data is cut off"),
        (broken_line, ":201: message_id must be of type str"),
        (not_utf8, ":201: "),
    ],
)
def test_what_comes_before_the_damage_is_replayed_and_counted(
    *,
    settings: Settings,
    tmp_path: Path,
    damage: Callable[[], bytes],
    complaint: str,
    from_stdin: bool,
) -> None:
    export = tmp_path / "export"
    export.write_bytes(damage())
    dlmon = Dlmon(settings, tmp_path)
    arguments = ["replay-rejects", "--yes", "--receipt", "receipt.ndjson", "--from"]
    if from_stdin:
        with export.open("rb") as stdin:
            process = dlmon.start(*arguments, "-", stdin=stdin.fileno())
            stdout, stderr = process.communicate(timeout=90)
    else:
        process = dlmon.start(*arguments, "export")
        stdout, stderr = process.communicate(timeout=90)
    assert process.returncode == 2
    assert stderr.startswith("dlmon: ")
    assert complaint in stderr
    replayed = re.search(r"replayed +(\d+)", stdout)
    assert replayed is not None
    receipt = [json.loads(line) for line in (tmp_path / "receipt.ndjson").read_text().splitlines()]
    with open_broker(settings) as broker:
        arrived = ids(broker, Queue.ARRIVALS)
    assert sorted(one["message_id"] for one in receipt) == arrived
    assert len(arrived) == int(replayed[1]) > 0
    in_order = [json.loads(line)["message_id"] for line in LINES]
    assert arrived == sorted(in_order[: len(arrived)])


def test_a_dry_run_of_a_damaged_export_says_so_too(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "export").write_bytes(gzip_cut_off())
    done = Dlmon(settings, tmp_path)("replay-rejects", "--from", "export", "--dry-run")
    assert done.returncode == 2
    assert "its gzip data is cut off" in done.stderr
    assert re.search(r"replayed +\d\d", done.stdout)
