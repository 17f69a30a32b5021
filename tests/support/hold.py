"""A process that holds deliveries until it is killed: `python -m tests.support.hold URL NAMESPACE
QUEUE COUNT` prints the number of each delivery it holds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker
from dlmon.brokers.local import LocalBroker
from dlmon.config.settings import Settings, load_settings
from dlmon.config.urls import LocalAddress
from dlmon.messages import Queue
from tests.support.dlmon import url_of
from tests.support.messages import receive

_ROOT = Path(__file__).parents[2]
_SHORT_LEASE = 2.0


@contextmanager
def holder(settings: Settings, queue: Queue, count: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds `count` messages of a queue by the time this returns."""
    arguments = [url_of(settings), settings.namespace, str(queue), str(count)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.hold", *arguments],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"holding\n"
            yield process
        finally:
            process.kill()


def _hold(url: str, namespace: str, queue: Queue, count: int) -> None:
    settings = load_settings({"broker": url, "namespace": namespace}, {}, Path(os.devnull))
    with ExitStack() as opened:
        broker = opened.enter_context(_open(settings))
        if queue is Queue.ARRIVALS:
            receive(opened.enter_context(broker.open_consumer(count)), count)
        else:
            assert len(opened.enter_context(broker.open_reader(queue)).read(count)) == count
        print("holding", flush=True)  # noqa: T201
        while True:
            time.sleep(1)


def _open(settings: Settings) -> Broker:
    if isinstance(settings.broker, LocalAddress):
        return LocalBroker(settings.broker.path, settings.names, lease=_SHORT_LEASE)
    return open_broker(settings)


if __name__ == "__main__":
    _hold(sys.argv[1], sys.argv[2], Queue(sys.argv[3]), int(sys.argv[4]))
