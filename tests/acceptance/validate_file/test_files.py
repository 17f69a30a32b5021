"""Which files are read, how, and what becomes of their events."""

from __future__ import annotations

import gzip
import resource
import signal
import subprocess
import zlib
from pathlib import Path

import pytest

from tests.support.environment import bare_environment
from tests.support.events import make_body, make_event
from tests.support.validate_file import ValidateFile

GOOD = make_body() + b"\n"
BAD = make_body(file_size=-1) + b"\n"


def test_folders_are_searched(validate: ValidateFile) -> None:
    for name in ("b.ndjson", "a/c.json.gz", "a/d.jsonl", "a/README.md"):
        file = validate.folder / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(BAD) if name.endswith(".gz") else BAD)
    lines = validate("in").stdout.decode().splitlines()
    names = [line.partition(":")[0] for line in lines[:-1]]
    assert names == ["in/b.ndjson", "in/a/c.json.gz", "in/a/d.jsonl"]
    assert validate("in", "--glob", "a/*.gz", "--glob", "*.md").stdout.count(b": minimum at") == 2
    nothing = validate("in", "--glob", "*.xml")
    assert nothing.returncode == 2
    assert b"--glob" in nothing.stderr


def test_zstd_is_known_by_its_content(validate: ValidateFile) -> None:
    zstd = pytest.importorskip("backports.zstd")
    packed = zstd.compress(GOOD * 50_000) + zstd.compress(BAD)
    done = validate("-", stdin=packed)
    assert done.stdout.startswith(b"<stdin>:50001:")
    cut = validate("-", stdin=packed[:-10])
    assert cut.returncode == 2
    assert b"its zstd data is cut off" in cut.stderr


def test_damaged_gzip_is_reported_with_its_position(validate: ValidateFile) -> None:
    packed = bytearray(gzip.compress(GOOD * 10_000, compresslevel=0))
    packed[-4000] ^= 0xFF
    done = validate("-", stdin=bytes(packed))
    assert done.returncode == 2
    assert b"its gzip data is damaged" in done.stderr
    assert b"It was checked up to line " in done.stderr


def test_events_are_split_and_their_bytes_kept(validate: ValidateFile) -> None:
    odd = b'{ "event_id" :1.50e1 }\t\r\n'
    done = validate(
        "-", "--split-valid", "good", "--split-invalid", "bad", stdin=GOOD + odd + BAD + GOOD
    )
    assert done.returncode == 1
    assert Path(validate.folder, "good").read_bytes() == GOOD + GOOD
    assert Path(validate.folder, "bad").read_bytes() == odd + BAD
    again = validate("-", "--split-valid", "good", stdin=GOOD)
    assert again.returncode == 2
    assert b"good exists already" in again.stderr


def test_a_filter_writes_valid_events_to_stdout(validate: ValidateFile) -> None:
    done = validate("-", "--split-valid", "-", stdin=GOOD + BAD + GOOD)
    assert done.stdout == GOOD + GOOD
    assert b"minimum at /file_size" in done.stderr


def test_events_of_an_array_come_out_as_lines(validate: ValidateFile) -> None:
    pretty = b"[\n" + GOOD.rstrip().replace(b",", b",\n") + b",\n" + BAD + b"]"
    done = validate("-", "--split-valid", "-", "--split-invalid", "bad", stdin=pretty)
    assert done.stdout.count(b"\n") == 1
    assert Path(validate.folder, "bad").read_bytes() == BAD


def test_a_long_event_is_split_off_whole_without_being_held(validate: ValidateFile) -> None:
    long = b'"' + b"x" * 3_000_000 + b'"\n'
    done = validate("-", "--split-invalid", "bad", stdin=GOOD + long + BAD)
    assert Path(validate.folder, "bad").read_bytes() == long + BAD
    assert b"<stdin>:2:1: too-large: 3000002 bytes are more than the limit of 65536" in done.stdout
    assert b"<stdin>:3:" in done.stdout


def test_repeated_ids_are_reported_with_both_positions(validate: ValidateFile) -> None:
    event = make_event()
    same, other = make_body(**event), make_body(**{**event, "file_size": 7})
    (validate.folder / "a").write_bytes(GOOD + same)
    (validate.folder / "b").write_bytes(same + b"\n" + other)
    done = validate("a", "b", "--unique")
    assert done.stdout.decode().splitlines() == [
        "b:1:13: repeated-id at /event_id: the event stands at a:2:13 already",
        "b:2:13: id-conflict at /event_id: another event with this id stands at a:2:13 already",
        "4 events: 4 valid, 2 repeated, 2 findings.",
    ]
    assert done.returncode == 1
    assert validate("a", "--unique").returncode == 0


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_all_jobs_report_the_same_in_the_order_of_the_file(
    validate: ValidateFile, jobs: str
) -> None:
    lines = [BAD if number % 997 == 0 else GOOD for number in range(60_000)]
    (validate.folder / "events").write_bytes(b"".join(lines))
    (validate.folder / "array").write_bytes(b"[" + b",".join(lines) + b"]")
    for file in ("events", "array"):
        done = validate(file, "--jobs", jobs)
        places = [int(line.split(b":")[1]) for line in done.stdout.splitlines()[:-1]]
        assert places == [1 + 997 * number for number in range(61)] if file == "events" else True
        assert done.stdout.endswith(b"60,000 events: 59,939 valid, 61 invalid, 61 findings.\n")


def test_ctrl_c_reports_what_was_found_so_far(validate: ValidateFile) -> None:
    with validate.start("-") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(BAD + GOOD)
        process.stdin.flush()
        process.stdin.write(b"{")
        process.stdin.flush()
        assert process.stdout.read(1) == b"<", "findings are shown while there is more to come"
        process.send_signal(signal.SIGINT)
        # Its stdin stays open until it has ended: at an end of file there is nothing to interrupt.
        process.wait(90)
        out, err = process.communicate()
    assert out.splitlines()[-1] == (
        b"2 events: 1 valid, 1 invalid, 1 finding. Interrupted: this is not all."
    )
    assert (err, process.returncode) == (b"", 130)


MEMORY = 200 * 1024 * 1024


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(b" x" * 512 * 1024) for _ in range(megabytes)]
    return b"".join((*parts, packer.flush()))


@pytest.mark.parametrize(
    ("stdin", "code"),
    [
        (None, "too-large"),
        (b"[" * 3_000_000, "too-large"),
        (b'{"a":' * 500_000, "too-large"),
        (b'[{"b":"' + b"\\" * 30_000_001, "too-large"),
        (b"\x00" * 30_000_000, "too-large"),
        (b"[" * 1000 + b"]" * 1000 + b"\n", "not-json"),
        (b"{}\n" * 100_000, "required"),
        (b"[" + b"," * 200_000 + b"{}", "not-json"),
    ],
    ids=["bomb", "brackets", "objects", "backslashes", "nul", "deep", "many", "commas"],
)
def test_hostile_input_is_a_finding_in_bounded_memory(
    validate: ValidateFile, stdin: bytes | None, code: str
) -> None:
    done = subprocess.run(
        [*validate.command("-", "--jobs", "1", "--max-errors", "3")],
        input=bomb(512) if stdin is None else stdin,  # not while tests are collected
        capture_output=True,
        preexec_fn=limited,
        env=bare_environment(validate.folder),
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert f": {code}".encode() in done.stdout
