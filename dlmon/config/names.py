"""What the broker calls the exchange, the queues and the routing keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlmon.errors import SettingsError
from dlmon.messages import ROUTING_KEYS, Queue
from dlmon.runtime.text import quote

DEFAULT_EXCHANGE = ""
"""The exchange that routes each message to the queue of the name in its routing key."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one topology.

    namespace: what they begin with unless they are given. arrivals: one queue or several, all of
    which are consumed from; published to the first. None stands for what the namespace gives.
    """

    namespace: str = "dlmon"
    given_exchange: str | None = None
    given_arrivals: Sequence[str] = ()
    given_rejects: str | None = None
    arrivals_key: str | None = None
    rejects_key: str | None = None

    @property
    def exchange(self) -> str:
        return self.namespace if self.given_exchange is None else self.given_exchange

    @property
    def all_arrivals(self) -> Sequence[str]:
        """Every queue that is consumed from."""
        return self.given_arrivals or (f"{self.namespace}.{Queue.ARRIVALS}",)

    def queue(self, queue: Queue) -> str:
        """The name of a queue; of several for arrivals, the first."""
        if queue is Queue.REJECTS:
            return self.given_rejects or f"{self.namespace}.{Queue.REJECTS}"
        return self.all_arrivals[0]

    def routing_key(self, queue: Queue) -> str:
        """What messages for a queue are published with."""
        if self.exchange == DEFAULT_EXCHANGE:
            return self.queue(queue)
        given = self.rejects_key if queue is Queue.REJECTS else self.arrivals_key
        return given or ROUTING_KEYS[queue]

    def queues(self) -> list[tuple[Queue, str]]:
        """Every queue with its name."""
        arrivals = [(Queue.ARRIVALS, name) for name in self.all_arrivals]
        return [*arrivals, (Queue.REJECTS, self.queue(Queue.REJECTS))]

    def flags(self) -> list[str]:
        """The words that name the same topology on a command line."""
        given = {
            "--namespace": self.namespace,
            "--exchange": self.given_exchange,
            "--arrivals": ",".join(self.given_arrivals) or None,
            "--rejects": self.given_rejects,
            "--arrivals-key": self.arrivals_key,
            "--rejects-key": self.rejects_key,
        }
        return [word for flag, name in given.items() if name is not None for word in (flag, name)]

    def check(self, *, declare: bool, is_local: bool) -> None:
        """Refuse names that cannot work together.

        declare: missing queues are created. is_local: for the local broker.

        Raises: SettingsError.
        """
        if self.queue(Queue.REJECTS) in self.all_arrivals:
            name = quote(self.queue(Queue.REJECTS))
            raise SettingsError(
                f"{name} is named for arrivals and for rejects, which would come back for ever: "
                "name another queue with --rejects."
            )
        keys = (self.arrivals_key, self.rejects_key)
        if is_local and (
            self.given_exchange is not None or any(keys) or len(self.all_arrivals) > 1
        ):
            raise SettingsError(
                "The local broker has two queues, and no exchange and no routing keys: leave out "
                "--exchange, --arrivals-key and --rejects-key, and name one queue with --arrivals."
            )
        if self.exchange == DEFAULT_EXCHANGE:
            if any(keys):
                raise SettingsError(
                    "The default exchange routes by the names of queues: leave out --arrivals-key "
                    "and --rejects-key."
                )
            return
        if self.routing_key(Queue.ARRIVALS) == self.routing_key(Queue.REJECTS):
            raise SettingsError(
                "Arrivals and rejects have the same routing key, so that rejects would come back "
                "for ever: choose another --rejects-key."
            )
        if declare and len(self.all_arrivals) > 1:
            raise SettingsError(
                f"If several queues were bound to the exchange {quote(self.exchange)} by dlmon, "
                "each would get every event: bind them yourself and add --no-declare, or name the "
                'default exchange with --exchange "".'
            )
