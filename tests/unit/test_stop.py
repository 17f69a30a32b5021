from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

import dlmon
from dlmon.errors import ExitCode
from dlmon.runtime.stop import Stop
from tests.support.messages import PATIENCE
from tests.support.pipeline import BUSY

_PROGRAM = """
import signal, time
from dlmon.cli.signals import stop_on_signals
before = signal.getsignal(signal.SIGTERM)
with stop_on_signals() as stop:
    print("ready", flush=True)
    {work}
assert signal.getsignal(signal.SIGTERM) is before
print("clean")
"""


@contextmanager
def command(work: str) -> Iterator[subprocess.Popen[str]]:
    """A process that does one line of work inside `stop_on_signals`, and is there already."""
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM.format(work=work)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            expect(process, "ready")
            yield process
        finally:
            process.kill()


def expect(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == f"{line}\n"


def test_a_new_stop_is_not_requested() -> None:
    stop = Stop()
    assert not stop.requested
    assert not stop.expired


def test_waiting_ends_when_there_is_something_to_read() -> None:
    reader, writer = os.pipe()
    try:
        assert Stop().wait(0.01, reader) is False
        os.write(writer, b"x")
        started = time.monotonic()
        assert Stop().wait(2 * PATIENCE, reader) is False
        assert time.monotonic() - started < PATIENCE
    finally:
        os.close(reader)
        os.close(writer)


def test_waiting_takes_as_long_as_asked_where_nobody_stops() -> None:
    started = time.monotonic()
    assert Stop().wait(0.1) is False
    assert time.monotonic() - started > 0.09


@pytest.mark.parametrize("seconds", [0, -1])
def test_waiting_for_no_time_returns_at_once(seconds: float) -> None:
    assert Stop().wait(seconds) is False


@pytest.mark.parametrize("seconds", [60, 1e12, None])
def test_a_request_wakes_everyone_who_waits(seconds: float | None) -> None:
    stop = Stop()
    woken = []
    waiters = [threading.Thread(target=lambda: woken.append(stop.wait(seconds))) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    stop.request()
    for waiter in waiters:
        waiter.join(PATIENCE)
    assert woken == [True, True, True]


def test_whoever_waits_after_the_request_does_not_wait() -> None:
    stop = Stop()
    stop.request()
    started = time.monotonic()
    assert stop.wait(2 * PATIENCE) is True
    assert stop.wait(2 * PATIENCE) is True
    assert time.monotonic() - started < PATIENCE


def test_a_stop_expires_when_its_grace_is_over_and_a_second_request_gives_no_more() -> None:
    stop = Stop(grace=0.2)
    asked = time.monotonic()
    stop.request()
    early = stop.expired
    while not stop.expired:
        stop.request()
        time.sleep(0.01)
    assert not early
    assert time.monotonic() - asked >= 0.2


def test_a_signal_handler_may_request_a_stop_that_its_own_thread_waits_for() -> None:
    stop = Stop()
    before = signal.signal(signal.SIGALRM, lambda _number, _frame: stop.request())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert stop.wait(60) is True
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_stop_that_is_gone_leaves_no_open_file() -> None:
    def open_files() -> int:
        return sum(1 for _ in Path("/dev/fd").iterdir())

    gc.collect()
    before = open_files()
    stops = [Stop() for _ in range(10)]
    assert open_files() == before + 20
    del stops
    gc.collect()
    assert open_files() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_work_in_hand_is_finished_after_a_signal(number: signal.Signals) -> None:
    with command("stop.wait(60); print('finished', stop.requested)") as process:
        process.send_signal(number)
        assert process.communicate(timeout=PATIENCE) == ("finished True\nclean\n", "")
    assert process.returncode == 0


def test_a_second_sigterm_changes_nothing() -> None:
    with command("stop.wait(60); print('stopping', flush=True); time.sleep(0.5)") as process:
        process.send_signal(signal.SIGTERM)
        expect(process, "stopping")
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=PATIENCE) == ("clean\n", "")
    assert process.returncode == 0


def test_a_second_ctrl_c_leaves_at_once() -> None:
    with command("stop.wait(60); print('stopping', flush=True); time.sleep(60)") as process:
        process.send_signal(signal.SIGINT)
        expect(process, "stopping")
        process.send_signal(signal.SIGINT)
        # Nor does it say that something hung.
        assert process.communicate(timeout=PATIENCE) == ("", "")
    assert process.returncode == ExitCode.INTERRUPTED


# Locked twice, a mutex waits for itself, and no signal ends that: what a disk that does not answer
# looks like. The main thread never comes back to the interpreter.
_HANGS_IN_C = (
    "import ctypes; lock = ctypes.CDLL(None).pthread_mutex_lock; "
    "mutex = ctypes.create_string_buffer(64); lock(mutex); lock(mutex)"
)
# Nobody reads the pipe, and it is full some time. One write would not do: a signal ends it early,
# and where Python does not buffer, nothing tells.
_HANGS_IN_WRITING = "import sys; [sys.stderr.write('x' * 2**20) for _ in iter(int, 1)]"


@pytest.mark.slow
def test_work_that_hangs_is_left_within_five_seconds() -> None:
    with (
        command("time.sleep(60)") as in_python,
        command(_HANGS_IN_C) as in_c,
        command(_HANGS_IN_WRITING) as in_writing,
    ):
        started = time.monotonic()
        for process in (in_python, in_c, in_writing):
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(timeout=PATIENCE) for process in (in_python, in_c, in_writing)]
        assert 4 < time.monotonic() - started < 4.5 + BUSY
        shown = [process.communicate() for process in (in_python, in_c)]

    assert codes == [ExitCode.INTERRUPTED] * 3
    message = (
        "dlmon: what was in hand did not finish within 4 s and was left; "
        "unacknowledged events will be delivered again.\n"
    )
    assert shown == [("", message)] * 2


def test_leaving_at_once_gives_a_terminal_its_cursor_back() -> None:
    program = _PROGRAM.format(work="stop.wait(); print('stopping'); time.sleep(60)")
    with pexpect.spawn(
        sys.executable, ["-c", program], encoding="utf-8", timeout=PATIENCE
    ) as terminal:
        terminal.expect("ready")
        terminal.sendintr()
        terminal.expect("stopping")
        terminal.sendintr()
        terminal.expect_exact("\x1b[?25h")
        terminal.expect(pexpect.EOF)
    assert terminal.exitstatus == ExitCode.INTERRUPTED


def test_ctrl_c_while_the_command_is_loaded_shows_no_traceback(tmp_path: Path) -> None:
    # In place of the first library that it loads.
    (tmp_path / "typer.py").write_text("import time; print('loading', flush=True); time.sleep(60)")
    with subprocess.Popen(
        [sys.executable, "-m", "dlmon", "--version"],
        env={
            **os.environ,
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(dlmon.__file__).parents[1]}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        expect(process, "loading")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=PATIENCE) == ("", "")
    assert process.returncode == -signal.SIGINT


_IGNORES_CTRL_C = """
import importlib, signal, sys
from dlmon.cli import main

class Destroyed:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def ignoring_ctrl_c(*args, **kwargs):
    Destroyed()
    return wrapped(*args, **kwargs)

module = importlib.import_module("{module}")
wrapped = module.{function}
module.{function} = ignoring_ctrl_c
sys.argv = ["dlmon", "produce", "--to-stdout", "--count", "{count}"]
main()
"""


# Python ignores what a signal's handler raises in a destructor or a callback. Each import runs a
# callback; that Ctrl-C comes in one is rare.
@pytest.mark.parametrize(
    ("module", "function", "events"),
    [
        pytest.param("dlmon.config.settings", "load_settings", 0, id="before the work"),
        pytest.param("dlmon.console.produce", "show_summary", 1, id="after the work"),
    ],
)
def test_ctrl_c_ends_the_command_where_python_ignores_its_exception(
    module: str, function: str, events: int
) -> None:
    # Unless it is stopped before, it goes on for days.
    count = events or 10**7
    program = _IGNORES_CTRL_C.format(module=module, function=function, count=count)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout.count("\n") == events
    assert "Traceback" not in done.stderr
    assert done.returncode == ExitCode.INTERRUPTED


def test_ctrl_c_while_python_exits_shows_no_traceback() -> None:
    program = """
import atexit, sys, time
from dlmon.cli import main
atexit.register(lambda: print("exiting", flush=True) or time.sleep(60))
sys.argv = ["dlmon", "--version"]
main()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        expect(process, f"dlmon {dlmon.__version__}")
        expect(process, "exiting")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=PATIENCE) == ("", "")
    assert process.returncode == -signal.SIGINT


def test_work_that_ends_by_itself_is_not_held_by_the_watchdog() -> None:
    program = [sys.executable, "-c", _PROGRAM.format(work="pass")]
    done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("ready\nclean\n", "")
