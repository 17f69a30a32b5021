"""How fast `dlmon validate-file` is, compared with a ceiling and with other programs.

    python -m benchmarks.validate_file [--events 1000000] [--rounds 5] [--many 10000000]

Each program in turn validates files of events of which none, 1% or all are invalid. All of them
count the invalid events; dlmon also says where and why. The ceiling is a bare loop of orjson and
jsonschema-rs in one process. check-jsonschema does not read NDJSON, and gets only a few events,
each in a file of its own. The last table is dlmon's memory on this file, and on one with many more
lines.
"""

from __future__ import annotations

import argparse
import compileall
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.rounds import ROOT
from benchmarks.table import table
from dlmon.sources.simulation import Simulation
from dlmon.sources.simulation.faults import FAULTS
from dlmon.validation.schema_files import DEFAULT_SCHEMA, shipped_schemas
from dlmon.validation.violations import (
    DUPLICATE_KEY,
    ID_CONFLICT,
    NOT_JSON,
    NOT_UTF8,
    TOO_LARGE,
    UNSTORABLE,
)

SCHEMA = str(shipped_schemas() / DEFAULT_SCHEMA)
NOT_BY_SCHEMA = {DUPLICATE_KEY, ID_CONFLICT, NOT_JSON, NOT_UTF8, TOO_LARGE, UNSTORABLE}
START = 1_767_225_600_000  # 2026-01-01
AT_ONCE = 1_000
SHARES = (0.0, 0.01, 1.0)
POLL = 0.02
NODE = ROOT / "benchmarks" / "node" / "validate.js"
DLMON = (sys.executable, "-m", "dlmon", "validate-file")


class Contender(NamedTuple):
    """A program that takes the name of a file as its last argument."""

    name: str
    command: Sequence[str]


BARE_LOOP = (sys.executable, "-m", "benchmarks.contenders.bare_loop", SCHEMA)
CONTENDERS = (
    Contender("ceiling", BARE_LOOP),
    # What a second process gains on this machine at this time: both validate the whole file.
    Contender("ceiling, each of two at once", ("sh", "-c", '"$@" & "$@"; wait', "sh", *BARE_LOOP)),
    Contender("dlmon validate-file --jobs 1", (*DLMON, "--jobs", "1")),
    Contender("dlmon validate-file --jobs 2", (*DLMON, "--jobs", "2")),
    Contender("dlmon validate-file --jobs 2 --first", (*DLMON, "--jobs", "2", "--first")),
    Contender("ajv in Node, first error", ("node", str(NODE), SCHEMA)),
    Contender("ajv in Node, all errors", ("node", str(NODE), SCHEMA, "--all")),
    Contender("jq -c .", ("jq", "-c", ".")),
    Contender("wc -l", ("wc", "-l")),
)
FEW = (
    Contender("check-jsonschema", ("check-jsonschema", "--schemafile", SCHEMA)),
    Contender("dlmon validate-file", DLMON),
)


class Memory(NamedTuple):
    """Peak resident memory in MB: of all processes together, and of the largest."""

    together: int
    largest: int


def write_events(file: Path, count: int, invalid: float) -> None:
    """Events, some of which break the schema and nothing else: ajv ends at other faults."""
    faults = [fault for fault in FAULTS if fault.code not in NOT_BY_SCHEMA]
    simulation = Simulation(seed=1, start=START, invalid=invalid, faults=faults)
    with file.open("wb") as out:
        for left in range(count, 0, -AT_ONCE):
            events = simulation.take(min(left, AT_ONCE))
            out.write(b"".join(event.body + b"\n" for event in events))


def seconds(contender: Contender, files: Sequence[str]) -> float | None:
    """Seconds; None if it is not installed. Raises: RuntimeError if it failed."""
    if not shutil.which(contender.command[0]):
        return None
    started = time.perf_counter()
    done = subprocess.run(
        [*contender.command, *files],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    taken = time.perf_counter() - started
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{contender.name}: {done.stderr.decode()[-300:]}")
    return taken


def compare(
    title: str, contenders: Sequence[Contender], files: Sequence[str], count: int, rounds: int
) -> None:
    """Run them in turn, so that other load on the machine slows all of them."""
    subject = next(one.name for one in contenders if one.name.startswith("dlmon"))
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            if taken := seconds(contender, files):
                rates[contender.name].append(count / taken)
    print("\n".join((*table(title, rates, subject), "")), flush=True)


def memory(arguments: Sequence[str]) -> Memory:
    """The peak of dlmon while it runs."""
    together = largest = 0
    with subprocess.Popen([*DLMON, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            resident = list(resident_kb(process.pid))
            together = max(together, sum(resident))
            largest = max(largest, *resident, 0)
            time.sleep(POLL)
    return Memory(together // 1024, largest // 1024)


def resident_kb(pid: int) -> Iterator[int]:
    """Of a process and its children. Shared pages count in each."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return
    yield from (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    for child in below:
        yield from resident_kb(int(child))


def single_files(folder: Path, file: Path, count: int) -> list[str]:
    """Write the first events of a file, each into a file of its own."""
    folder.mkdir()
    names = []
    with file.open("rb") as lines:
        for number, line in enumerate(islice(lines, count)):
            names.append(str(folder / f"{number}.json"))
            Path(names[-1]).write_bytes(line)
    return names


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.validate_file")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--few", type=int, default=2_000, help="events for check-jsonschema")
    parser.add_argument("--many", type=int, default=10_000_000, help="events, for memory")
    given = parser.parse_args()
    for package in ("dlmon", "benchmarks"):  # as installing them does
        compileall.compile_dir(ROOT / package, quiet=1)
    with TemporaryDirectory(prefix="dlmon-benchmarks-") as folder:
        file = Path(folder, "events.ndjson")
        for share in SHARES:
            write_events(file, given.events, share)
            title = f"{given.events:,} events, {share:.0%} invalid"
            compare(title, CONTENDERS, [str(file)], given.events, given.rounds)
        write_events(file, given.events, SHARES[1])
        names = single_files(Path(folder, "single"), file, given.few)
        compare(f"{given.few:,} files of one event", FEW, names, given.few, given.rounds)

        print("| memory | events | all processes | largest |\n|---|--:|--:|--:|")
        many = Path(folder, "many.ndjson")
        with many.open("wb") as out:
            for _ in range(given.many // given.events):
                out.write(file.read_bytes())
        for path, count in ((file, given.events), (many, given.many)):
            for jobs in ("1", "2"):
                most = memory([str(path), "--jobs", jobs])
                what = f"--jobs {jobs} | {count:,} | {most.together} MB | {most.largest} MB"
                print(f"| {what} |", flush=True)


if __name__ == "__main__":
    main()
