"""How fast this dlmon is, compared with another version of it.

    python -m benchmarks.against COMMAND [--rounds 9] [--events 100000] [--lines 500000]

COMMAND is the `dlmon` of another environment, such as /tmp/before/bin/dlmon. Both versions do each
job in turn, and who is first changes with each round: a busy machine slows both. Each has queues
of its own, as it declares them itself.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks import validate_file
from benchmarks.broker import Bench, bench
from benchmarks.rounds import CONSUME_OPTIONS, PRODUCE_OPTIONS, Contender

HERE = (sys.executable, "-m", "dlmon")


def main() -> None:
    """Print a row for each job."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against")
    parser.add_argument("command", help="the dlmon to compare with")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--events", type=int, default=100_000, help="for produce and consume")
    parser.add_argument("--lines", type=int, default=500_000, help="for validate-file")
    given = parser.parse_args()
    before = (str(Path(given.command).absolute()),)
    print("| job | this version | the other | this to the other | lowest to highest |")
    print("|---|--:|--:|--:|--:|")
    with bench() as prepared:
        events = prepared.write_events(given.events)
        places = {HERE: prepared, before: _declared_by(before, prepared)}
        for name, job in {
            "consume": _broker_job(places, CONSUME_OPTIONS, given.events, events),
            "consume, 10% invalid": _broker_job(
                places, CONSUME_OPTIONS, given.events, events, invalid=0.1
            ),
            "produce --rate 0": _broker_job(places, PRODUCE_OPTIONS, given.events, events),
            **{
                f"validate-file, {share:.0%} invalid": _file_job(prepared, given.lines, share)
                for share in validate_file.SHARES
            },
        }.items():
            _compare(name, job, before, given.rounds)


def _compare(
    name: str, job: Callable[[Sequence[str]], float], before: Sequence[str], rounds: int
) -> None:
    now, then = [], []
    for number in range(rounds):
        for command, rates in sorted(((HERE, now), (before, then)), reverse=number % 2 == 1):
            rates.append(job(command))
    ratios = [a / b for a, b in zip(now, then, strict=True)]
    print(
        f"| {name} | {statistics.median(now):,.0f}/s | {statistics.median(then):,.0f}/s | "
        f"{statistics.median(ratios):.3f} | {min(ratios):.3f} to {max(ratios):.3f} |",
        flush=True,
    )


def _declared_by(command: Sequence[str], prepared: Bench) -> Bench:
    """Queues that a version has declared, which may be other ones than this version's."""
    other = Bench(prepared.url, prepared.folder, "benchmark-other")
    subprocess.run(
        [*command, "produce", "--count", "1"],
        env=other.environment,
        check=True,
        capture_output=True,
    )
    return other


def _broker_job(
    places: Mapping[Sequence[str], Bench],
    options: Sequence[str],
    count: int,
    events: Path,
    invalid: float = 0.0,
) -> Callable[[Sequence[str]], float]:
    def job(command: Sequence[str]) -> float:
        consumes = options == CONSUME_OPTIONS
        contender = Contender("dlmon", (*command, *options), consumes, invalid=invalid)
        return contender.rate(places[command], count, events)

    return job


def _file_job(prepared: Bench, count: int, share: float) -> Callable[[Sequence[str]], float]:
    file = prepared.folder / f"{share}.ndjson"
    validate_file.write_events(file, count, share)

    def job(command: Sequence[str]) -> float:
        contender = validate_file.Contender("dlmon", (*command, "validate-file"))
        taken = validate_file.seconds(contender, [str(file)])
        assert taken is not None, f"{command} is not installed"
        return count / taken

    return job


if __name__ == "__main__":
    main()
