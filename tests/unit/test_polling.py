"""Waiting for descriptors, on systems with and without poll(2) for terminals."""

from __future__ import annotations

import os
import pty
import select
import time
from collections.abc import Iterator

import pytest

from dlmon.runtime.polling import wait_until_ready
from dlmon.runtime.stop import Stop


class PollOfMacOS:
    """poll(2) as macOS has it: a terminal is no valid descriptor."""

    _poll = staticmethod(select.poll)

    def __init__(self) -> None:
        self._terminals: list[int] = []
        self._others = self._poll()

    def register(self, descriptor: int, events: int) -> None:
        if os.isatty(descriptor):
            self._terminals.append(descriptor)
        else:
            self._others.register(descriptor, events)

    def poll(self, milliseconds: float | None) -> list[tuple[int, int]]:
        invalid = [(descriptor, select.POLLNVAL) for descriptor in self._terminals]
        return invalid + self._others.poll(0 if invalid else milliseconds)


@pytest.fixture(params=["of this system", "of macOS"])
def any_poll(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "of macOS":
        monkeypatch.setattr(select, "poll", PollOfMacOS)


@pytest.fixture(params=[os.pipe, pty.openpty], ids=["pipe", "terminal"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """What can be read from, and what can be written to."""
    reader, writer = request.param()
    yield reader, writer
    os.close(reader)
    os.close(writer)


@pytest.mark.usefixtures("any_poll")
class TestReady:
    def test_what_can_be_read_is_ready(self, ends: tuple[int, int]) -> None:
        reader, writer = ends
        assert wait_until_ready((reader,), seconds=0) == set()
        os.write(writer, b"x\n")
        assert wait_until_ready((reader,)) == {reader}

    def test_what_can_be_written_to_is_ready(self, ends: tuple[int, int]) -> None:
        reader, writer = ends
        assert wait_until_ready((reader,), (writer,)) == {writer}

    def test_the_end_is_ready_to_be_read(self) -> None:
        reader, writer = os.pipe()
        os.close(writer)
        assert wait_until_ready((reader,), seconds=60) == {reader}
        os.close(reader)

    @pytest.mark.parametrize("seconds", [0, -1, 0.1])
    def test_the_wait_ends(self, ends: tuple[int, int], seconds: float) -> None:
        started = time.monotonic()
        assert wait_until_ready((ends[0],), seconds=seconds) == set()
        assert seconds - 0.01 < time.monotonic() - started < 30

    def test_a_stop_ends_a_wait_for_it(self, ends: tuple[int, int]) -> None:
        stop = Stop()
        started = time.monotonic()
        assert not stop.wait(0.1, ends[0])
        assert time.monotonic() - started > 0.09
        stop.request()
        assert stop.wait(60, ends[0])


def test_a_wait_longer_than_poll_can_wait_begins() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"x")
    assert wait_until_ready((reader,), seconds=10**9) == {reader}
    os.close(reader)
    os.close(writer)
