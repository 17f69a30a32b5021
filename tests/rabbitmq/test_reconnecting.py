"""How often a connection is made again."""

from __future__ import annotations

import time
from typing import Any

import pytest

from dlmon.brokers.rabbitmq.connection import Connection
from dlmon.config.settings import Settings
from dlmon.errors import BrokerUnreachable, DlmonError
from dlmon.runtime.stop import Stop


class Breaker:
    """Breaks each connection after so many seconds."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds

    def on_connected(self, connection: Any) -> None:
        connection.ioloop.call_later(self._seconds, self._break)

    def on_disconnected(self, error: DlmonError) -> None:
        pass

    def _break(self) -> None:
        self._connection.reconnect(BrokerUnreachable("It broke."))


@pytest.mark.parametrize("seconds", [0.0, 0.1])
def test_a_connection_that_does_not_last_is_made_again_less_and_less_often(
    rabbitmq_settings: Settings, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    connection = Connection(rabbitmq_settings, "breaking", Stop())
    connection.open()
    connection.add_listener(Breaker(connection, seconds))
    time.sleep(2.5)
    connection.close()
    # At least 50, 100, 200, 400 and 800 ms lie between two of them.
    assert 2 <= connection.reconnects <= 5
    assert caplog.text.count("It broke. Connecting again.") == 1
