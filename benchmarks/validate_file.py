"""How fast `dlmon validate-file` is, against the ceiling and what else there is. In ratios.

    python benchmarks/validate_file.py [--events 1000000] [--runs 3] [--other-events 2000]

Writes files of events without invalid ones, with 1% and with only invalid ones, into a temporary
folder, and runs each program on each of them, in turns. The ceiling is a bare loop of orjson and
jsonschema-rs over the lines, in one process, which finds out no more than how many are invalid.
Programs that are not there are left out: jq, wc, node with ajv and ajv-formats (NODE_PATH names the
folder of modules), and check-jsonschema, which gets a few events only, each in a file of its own.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import NamedTuple

from dlmon.validation import DEFAULT_SCHEMA, shipped_schemas

SCHEMA = shipped_schemas() / DEFAULT_SCHEMA

CEILING = """
import sys, orjson
from dlmon.validation import load_schema
is_valid, loads, invalid = load_schema().compiled.is_valid, orjson.loads, 0
with open(sys.argv[1], "rb") as file:
    for line in file:
        if not is_valid(loads(line)):
            invalid += 1
print(invalid)
"""

AJV = """
const Ajv = require("ajv/dist/2020"), formats = require("ajv-formats"), fs = require("fs");
const ajv = new Ajv({strict: false, allErrors: true});
formats(ajv);
const validate = ajv.compile(JSON.parse(fs.readFileSync(process.argv[1])));
const lines = require("readline").createInterface({input: fs.createReadStream(process.argv[2])});
let invalid = 0;
lines.on("line", (line) => { if (!validate(JSON.parse(line))) invalid += 1; });
lines.on("close", () => console.log(invalid));
"""


class Program(NamedTuple):
    name: str
    command: list[str]


def programs(file: Path) -> list[Program]:
    dlmon = [sys.executable, "-m", "dlmon", "validate-file", str(file)]
    found = [
        Program("ceiling", [sys.executable, "-c", CEILING, str(file)]),
        Program("dlmon --jobs 1", [*dlmon, "--jobs", "1"]),
        Program("dlmon --jobs 2", [*dlmon, "--jobs", "2"]),
    ]
    if shutil.which("node") and runs(["node", "-e", 'require("ajv"); require("ajv-formats")']):
        found.append(Program("ajv in node", ["node", "-e", AJV, str(SCHEMA), str(file)]))
    if shutil.which("jq"):
        found.append(Program("jq -c .", ["jq", "-c", ".", str(file)]))
    if shutil.which("wc"):
        found.append(Program("wc -l", ["wc", "-l", str(file)]))
    return found


def runs(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    taken = time.perf_counter() - started
    if done.returncode not in (0, 1):
        sys.exit(f"{command[0]} failed: {done.stderr.decode()[-300:]}")
    return taken


def write_events(file: Path, count: int, invalid: float) -> None:
    chance = random.Random(1)  # noqa: S311  (nothing secret)
    with file.open("w") as out:
        for _ in range(count):
            latitude = chance.uniform(-90, 90) + 200 * (chance.random() < invalid)
            out.write(
                f'{{"event_id": "{uuid.UUID(int=chance.getrandbits(128), version=4)}", '
                f'"timestamp": "2026-03-01T12:{chance.randrange(60):02}:{chance.randrange(60):02}Z"'
                f', "coordinates": {{"latitude": {latitude:.6f}, '
                f'"longitude": {chance.uniform(-180, 180):.6f}}}, '
                f'"file_size": {chance.randrange(10**9)}, '
                f'"download_speed": {chance.lognormvariate(2, 1):.3f}}}\n'
            )


def compare(file: Path, count: int, rounds: int) -> None:
    """One line a program: events per second, and that as a share of the ceiling's."""
    several = programs(file)
    # In turns, so that whatever else this machine does slows all of them.
    taken = [[seconds(program.command) for program in several] for _ in range(rounds)]
    medians = [statistics.median(times) for times in zip(*taken, strict=True)]
    for program, median in zip(several, medians, strict=True):
        say(f"  {program.name:<18} {count / median:>12,.0f} events/s {medians[0] / median:>8.2f}")


def check_jsonschema(file: Path, count: int) -> None:
    """Each event in a file of its own: that program knows no NDJSON."""
    if not shutil.which("check-jsonschema"):
        return
    folder = file.with_suffix(".d")
    folder.mkdir()
    with file.open() as lines:
        names = [str(folder / f"{number}.json") for number in range(count)]
        for name, line in zip(names, lines, strict=False):
            Path(name).write_text(line)
    taken = seconds(["check-jsonschema", "--schemafile", str(SCHEMA), *names])
    own = seconds([sys.executable, "-m", "dlmon", "validate-file", *names])
    say(f"{count:,} files of one event each, events/s")
    say(f"  check-jsonschema   {count / taken:>12,.0f}")
    say(f"  dlmon              {count / own:>12,.0f} {taken / own:>8.2f} times as fast")


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--other-events", type=int, default=2000, help="for check-jsonschema")
    given = parser.parse_args()
    say(f"{given.events:,} events, {os.cpu_count()} cores, median of {given.runs} runs")
    with tempfile.TemporaryDirectory() as folder:
        for share in (0, 0.01, 1):
            file = Path(folder, f"events-{share}.ndjson")
            write_events(file, given.events, share)
            say(f"{share:.0%} invalid; of the ceiling")
            compare(file, given.events, given.runs)
            if not share:
                check_jsonschema(file, given.other_events)
            file.unlink()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    say(f"largest process: {peak} MB")


if __name__ == "__main__":
    main()
