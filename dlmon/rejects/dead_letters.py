"""Messages of a queue of dead letters that is not dlmon's, told apart by what RabbitMQ says."""

from __future__ import annotations

from dlmon.messages import Delivery
from dlmon.rejects import headers as header
from dlmon.rejects.rejection import Rejection, message_id_of, reject
from dlmon.validation.violations import FOREIGN, Violation

_NOT_DEAD = Violation(FOREIGN, "", "published here: no queue has dead-lettered it")


def from_dead_letter(delivery: Delivery) -> Rejection:
    """A message as a rejection: its code is RabbitMQ's reason, its origin the queue that it was in,
    and its time the first one at which it was dead-lettered there."""
    letter = delivery.dead_letter
    violation = _NOT_DEAD
    if letter is not None:
        times = "once" if letter.count == 1 else f"{letter.count:,} times"
        text = f"dead-lettered from {letter.queue} {times}: {letter.reason}"
        violation = Violation(
            header.clip(letter.reason, header.MAX_SHORT_TEXT),
            "",
            header.clip(text, header.MAX_REASON),
        )
    return reject(
        delivery,
        (violation,),
        message_id=message_id_of(delivery),
        schema="",
        rejected_by="",
        rejected_at=None if letter is None else header.time_or_none(letter.at),
        origin="" if letter is None else header.clip(letter.queue, header.MAX_SHORT_TEXT),
    )
