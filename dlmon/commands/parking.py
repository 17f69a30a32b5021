"""Parking rejections: until it succeeds, and beside the next batch where the broker can."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

from dlmon.brokers.base import Broker
from dlmon.errors import PublishRefused, UnpublishableMessages
from dlmon.messages import Queue
from dlmon.rejects.rejection import Rejection, to_message
from dlmon.runtime.stop import Stop


class Parking:
    """The rejections of a load on their way to rejects."""

    def __init__(
        self, broker: Broker, rejections: Sequence[Rejection], stop: Stop, patience: float
    ) -> None:
        """patience: seconds without an answer of the broker after which an attempt ends."""
        self.rejections = rejections
        self._broker = broker
        self._stop = stop
        self._patience = patience
        self._left = rejections
        self._smallest = False
        self._beside: Future[None] | None = None

    def start(self) -> None:
        """Make the first attempt in a thread of its own."""
        self._beside = Future()
        threading.Thread(
            target=self._attempt_beside, args=(self._beside,), name="parking", daemon=True
        ).start()

    @property
    def has_succeeded(self) -> bool:
        """Whether nothing is left to do, as far as that shows without waiting."""
        beside = self._beside
        return not self._left or (
            beside is not None and beside.done() and beside.exception() is None
        )

    def attempt(self) -> None:
        """Park what is left; returns once the broker has confirmed all of it. The first call waits
        for the attempt that was started.

        Raises: BrokerError, after which it can be called again. Interrupted.
        """
        if self._beside is not None:
            beside, self._beside = self._beside, None
            beside.result()
        elif self._left:
            self._publish()

    def _attempt_beside(self, result: Future[None]) -> None:
        try:
            self._publish()
        except BaseException as error:  # noqa: BLE001  (whoever waits for the result raises it)
            result.set_exception(error)
        else:
            result.set_result(None)

    def _publish(self) -> None:
        # Made for each attempt: another connection may agree to larger or smaller frames.
        max_bytes = 0 if self._smallest else self._broker.max_properties_bytes
        messages = [to_message(rejection, max_bytes) for rejection in self._left]
        try:
            self._broker.publish(
                Queue.REJECTS, [messages], stop=self._stop, patience=self._patience
            )
        except PublishRefused as refusal:
            refused = set(map(id, refusal.messages))
            self._smallest = isinstance(refusal, UnpublishableMessages)
            self._left = [
                rejection
                for rejection, message in zip(self._left, messages, strict=True)
                if id(message) in refused
            ]
            raise
        self._left = ()
