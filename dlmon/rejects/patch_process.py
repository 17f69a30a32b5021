"""The program of the process that a patch runs in (`dlmon.rejects.patch` starts it).

It reads lines from stdin and answers each with one line on stdout. The first line is the jq
expression as a JSON text, and the answer a list of what this system cannot limit. Each further line
is an event. An answer begins with `=` for a result in JSON, and with `!` for a reason in JSON.

jq is written in C: it holds the GIL, does not see Python's signals, and ends the process when it
lacks memory. Each of the limits therefore ends this process, and dlmon goes on.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from itertools import islice

NO_MEMORY = 3
"""Exit code where Python ran out of memory. jq aborts the process instead."""

_MAX_REASON = 500  # characters


def main() -> None:
    """Arguments: the most bytes of memory and of a result, seconds of CPU time for an event, and
    the folders of jq and orjson."""
    memory, max_bytes = (int(one) for one in sys.argv[1:3])
    seconds = float(sys.argv[3])
    sys.path += sys.argv[4:]
    import jq
    import orjson

    def answer(sign: bytes, value: object) -> None:
        _write(sign + orjson.dumps(value) + b"\n")

    unlimited = restrict(memory)
    # Its default action ends the process, also while jq runs.
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        program = jq.compile(orjson.loads(sys.stdin.buffer.readline()))
        identity = jq.compile(".")
    except ValueError as error:
        answer(b"!", str(error))
        return
    answer(b"=", unlimited)
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        text = line.decode()
        try:
            # jq calculates in doubles: an identifier above 2^53 would come out as another one.
            if identity.input_text(text).first() != orjson.loads(line):
                answer(b"!", "it has a number that jq cannot keep exactly")
                continue
            results = list(islice(program.input_text(text), 2))
            if len(results) == 1:
                result = orjson.dumps(results[0])
                if len(result) <= max_bytes:
                    _write(b"=" + result + b"\n")
                else:
                    answer(b"!", f"its result is larger than the limit of {max_bytes} bytes")
            else:
                count = "more than one result" if results else "no result"
                answer(b"!", f"the patch gives {count}")
        except (ValueError, RecursionError, orjson.JSONEncodeError) as error:
            answer(b"!", str(error)[:_MAX_REASON])


def restrict(memory: int) -> list[str]:
    """Take this process the right to open files, to write to them, to dump its memory, and to more
    than `memory` bytes. Returns what of this the system cannot limit."""
    unlimited = []
    for name, limit, what in (
        ("RLIMIT_AS", memory, "memory"),
        ("RLIMIT_NOFILE", 0, "open files"),
        ("RLIMIT_FSIZE", 0, "size of files"),
        ("RLIMIT_CORE", 0, "core dumps"),
    ):
        try:
            number = getattr(resource, name)
            _, most = resource.getrlimit(number)
            lowest = limit if most == resource.RLIM_INFINITY else min(limit, most)
            resource.setrlimit(number, (lowest, lowest))
        except (AttributeError, ValueError, OSError):
            unlimited.append(what)
    # macOS takes the limit and does not keep to it (setrlimit(2): RLIMIT_AS is RLIMIT_RSS there).
    if sys.platform == "darwin" and "memory" not in unlimited:
        unlimited.append("memory")
    return unlimited


def _write(data: bytes) -> None:
    """Write at once: dlmon has to know which event was in hand if this process ends."""
    left = memoryview(data)
    while left:
        left = left[os.write(sys.stdout.fileno(), left) :]


if __name__ == "__main__":
    try:
        main()
    except MemoryError:
        os._exit(NO_MEMORY)
