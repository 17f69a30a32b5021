"""Publishing until the broker takes every message, whatever it refuses meanwhile."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence

from dlmon.brokers.base import Broker, Confirmed
from dlmon.errors import Interrupted, PublishRefused, UnpublishableMessages
from dlmon.messages import Message, Queue
from dlmon.runtime.backoff import Backoff
from dlmon.runtime.stop import Stop

_WARN_EVERY = 60.0  # seconds
_RETRY_AT_STOP = 0.1  # seconds

_log = logging.getLogger(__name__)


def publish_until_taken(
    broker: Broker,
    queue: Queue,
    batches: Iterator[Sequence[Message]],
    *,
    on_confirmed: Confirmed,
    on_refused: Callable[[PublishRefused | None], None],
    stop: Stop,
) -> None:
    """Publish all batches, and publish again, with backoff, what the broker refuses.

    on_refused: called with each refusal, and with None once the broker takes messages again.

    Raises: Interrupted when `stop` has expired before everything was confirmed;
    UnpublishableMessages once all others were confirmed; BrokerError when the broker is of no use
    any more.
    """
    refused: Sequence[Message] = ()
    unpublishable: UnpublishableMessages | None = None
    backoff = Backoff()
    warn_at = 0.0
    progress = False

    def confirm(messages: Sequence[Message]) -> None:
        nonlocal progress
        progress = progress or bool(messages)
        on_confirmed(messages)

    while True:
        progress = False
        try:
            # What was refused goes alone: with more behind it, more would be refused each time.
            broker.publish(queue, [refused] if refused else batches, confirmed=confirm, stop=stop)
        except UnpublishableMessages as error:
            _log.error("%s", error)
            unpublishable = UnpublishableMessages(
                str(error), (*(unpublishable.messages if unpublishable else ()), *error.messages)
            )
            if not refused:
                raise unpublishable from error
            refused = ()
            on_refused(None)
        except PublishRefused as refusal:
            if not refused or progress:
                backoff = Backoff()
            refused = refusal.messages
            if time.monotonic() >= warn_at:
                _log.warning("%s Trying again; %d events wait.", refusal, len(refused))
                warn_at = time.monotonic() + _WARN_EVERY
            on_refused(refusal)
            _back_off(backoff, refusal, stop)
        else:
            if not refused:
                if unpublishable is not None:
                    raise unpublishable
                return
            refused = ()
            on_refused(None)


def _back_off(backoff: Backoff, refusal: PublishRefused, stop: Stop) -> None:
    if stop.expired:
        raise Interrupted(str(refusal)) from refusal
    if stop.requested:
        time.sleep(_RETRY_AT_STOP)
    else:
        stop.wait(backoff.delay())
