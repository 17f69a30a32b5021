"""A producer and consumers as processes, from the start to the reconciliation."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import orjson

from tests.support.amqp import raw_channel
from tests.support.dlmon import Dlmon
from tests.support.messages import wait_until
from tests.support.odd_store import PROGRAM
from tests.support.processes import start
from tests.support.reconcile import Reconciliation, reconcile

PATIENCE = 120.0
"""Seconds in which everything is back to normal once a fault is over, reconnecting included."""

STOP_WITHIN = 5.0
"""Seconds that a process takes to end when it is asked to, at most."""

BUSY = 10.0
"""Seconds that a busy machine may take longer. What takes too long on a quiet one is left by dlmon
itself after 4 s, and then its exit code says so."""


def eventually(
    condition: Callable[[], bool], within: float = PATIENCE, story: Callable[[], str] = str
) -> None:
    """`wait_until`, as long as faults take to be over."""
    wait_until(condition, within, story)


class Running:
    """A command that runs, with what it says in a file."""

    def __init__(self, dlmon: Dlmon, command: Sequence[str], log: Path) -> None:
        self.command = command
        self._log = log
        self._started = time.monotonic()
        with log.open("wb") as output:
            self.process = start(
                command,
                dlmon.environment,
                dlmon.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def says(self, words: str, within: float = PATIENCE) -> None:
        """Wait until it says so."""

        def said() -> bool:
            assert words in self.said or self.process.poll() is None, self.said
            return words in self.said

        eventually(said, within, lambda: self.said)

    def ends(self, within: float = PATIENCE) -> int:
        """The exit code, once it has ended by itself."""
        eventually(lambda: self.process.poll() is not None, within, lambda: self.said)
        return self.process.returncode

    def stop(
        self, number: int = signal.SIGTERM, again_if: Callable[[str], bool] = lambda _said: False
    ) -> int:
        """The exit code, once it was asked to end and has ended in time.

        again_if: whether to ask it once more, by what it says.
        """
        after = time.monotonic() - self._started
        asked = f"{signal.Signals(number).name} came {after:.3f} s after its start"

        def ended() -> bool:
            return self.process.poll() is not None

        def ask(enough: Callable[[], bool]) -> None:
            self.process.send_signal(number)
            eventually(enough, STOP_WITHIN + BUSY, lambda: f"{asked}; it says:\n{self.said}")

        ask(lambda: ended() or again_if(self.said))
        if not ended():
            ask(ended)
        return self.process.returncode

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def duplicates(self) -> int:
        """How many events it was given that the store had already, as its summary tells."""
        match = re.search(r"([\d,]+) duplicates, [\d,]+ rejected in", self.said)
        return int(match[1].replace(",", "")) if match else 0


class Pipeline:
    """Producers and consumers of one namespace, with one ledger and one store."""

    def __init__(self, dlmon: Dlmon) -> None:
        self.dlmon = dlmon
        self.ledger = dlmon.folder / "ledger"
        self.store = dlmon.folder / "events.db"
        self.all: list[Running] = []

    def produce(self, *arguments: str) -> Running:
        return self.start("produce", "--ledger", str(self.ledger), *arguments)

    def consume(self, *arguments: str) -> Running:
        return self.start("consume", "--store", f"sqlite:///{self.store}", *arguments)

    def consume_into(self, odd_store: str, *arguments: str) -> Running:
        """odd_store: as tests/support/odd_store.py takes it."""
        store = ("consume", "--store", f"sqlite:///{self.store}")
        return self.run([*PROGRAM, odd_store, *store, *arguments])

    def start(self, *arguments: str) -> Running:
        return self.run(self.dlmon.command(*arguments))

    def run(self, command: Sequence[str]) -> Running:
        running = Running(self.dlmon, command, self.dlmon.folder / f"log-{len(self.all)}")
        self.all.append(running)
        return running

    @property
    def namespace(self) -> str:
        return self.dlmon.environment["DLMON_NAMESPACE"]

    @property
    def confirmed(self) -> int:
        """How many events the broker has for certain."""
        return self.ledger.read_bytes().count(b'"confirmed"') if self.ledger.exists() else 0

    @property
    def stored(self) -> int:
        """How many events are in the store."""
        if not self.store.exists():
            return 0
        with closing(sqlite3.connect(self.store)) as database:
            try:
                [(count,)] = database.execute("SELECT count(*) FROM events")
            except sqlite3.OperationalError:  # the table is not there yet
                return 0
        return int(count)

    def ready(self, queue: str) -> int:
        """How many messages wait in a queue, and are in nobody's hands."""
        name = f"{self.namespace}.{queue}"
        with raw_channel(self.dlmon.environment["DLMON_BROKER"]) as channel:
            return int(channel.queue_declare(name, passive=True).method.message_count)

    def goes_on(self, events: int = 300) -> None:
        """Wait until so many more events have been confirmed and stored."""
        confirmed, stored = self.confirmed + events, self.stored + events
        eventually(
            lambda: self.confirmed >= confirmed and self.stored >= stored, story=lambda: self.story
        )

    def takes_all(self) -> None:
        """Wait until nothing is ready in arrivals."""
        eventually(lambda: self.ready("arrivals") == 0, story=lambda: self.story)

    @property
    def story(self) -> str:
        """What all processes said."""
        logs = (f"{running.command}\n{running.said}" for running in self.all)
        return f"{self.confirmed} confirmed, {self.stored} stored\n" + "\n".join(logs)

    def drain(self) -> Running:
        """Consume until nothing is left."""
        consumer = self.consume("--until-empty")
        assert consumer.ends() == 0, consumer.said
        return consumer

    def reconcile(self) -> Reconciliation:
        looked = self.dlmon("inspect-rejects", "--json")
        assert looked.returncode == 0, looked.stderr
        records = map(orjson.loads, looked.stdout.splitlines())
        rejects = [(record["message_id"], record["code"]) for record in records]
        return reconcile(self.ledger, self.store, rejects)

    @property
    def duplicates(self) -> int:
        """How many events consumers were given that the store had already."""
        return sum(running.duplicates for running in self.all)

    def close(self) -> None:
        for running in self.all:
            running.kill()
