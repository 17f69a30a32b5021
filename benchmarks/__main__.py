"""`python -m benchmarks [--rounds N] [--events N] [--only TEXT ...]`: both tables, on stdout."""

from __future__ import annotations

import argparse
import sys

from benchmarks.broker import Bench, bench
from benchmarks.rounds import CONSUME, CONSUMERS, PRODUCE, PRODUCERS, CannotRun, Contender
from benchmarks.table import table


def main() -> None:
    """Run all contenders in turn, so many rounds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--events", type=int, default=100_000, help="of about 200 bytes, each round"
    )
    parser.add_argument(
        "--only", nargs="+", default=[""], help="contenders with one of these in their name"
    )
    arguments = parser.parse_args()
    with bench() as prepared:
        for subject, all_of_them in ((CONSUME, CONSUMERS), (PRODUCE, PRODUCERS)):
            contenders = [
                one for one in all_of_them if any(text in one.name for text in arguments.only)
            ]
            if contenders:
                rates = _run(prepared, contenders, arguments.rounds, arguments.events)
                title = "receive" if subject == CONSUME else "publish"
                print("\n".join(("", *table(title, rates, subject))))


def _run(
    prepared: Bench, contenders: list[Contender], rounds: int, count: int
) -> dict[str, list[float]]:
    events = prepared.write_events(count)
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(1, rounds + 1):
        for contender in contenders:
            try:
                rate = contender.rate(prepared, count, events)
            except CannotRun as error:
                print(f"{contender.name}: {error}", file=sys.stderr)
            else:
                rates[contender.name].append(rate)
                print(f"round {number}: {rate:>9,.0f}/s  {contender.name}", file=sys.stderr)
    return rates


if __name__ == "__main__":
    main()
