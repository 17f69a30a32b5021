"""An embedded durable broker in one SQLite file, for several processes on one machine.

It keeps the contract of `dlmon.brokers.base` with nothing installed and no server running: a
message is a row, a commit is a publisher confirm, and who holds a delivery has a lease on it.
"""

from dlmon.brokers.local.broker import LocalBroker

__all__ = ["LocalBroker"]
