"""RabbitMQ.

broker        the contract, over two connections
topology      the exchange and the two quorum queues
connection    a connection that reconnects by itself, with its I/O loop in a thread of its own
publisher     publishing with a window of unconfirmed messages
consumer      receiving from arrivals, with acknowledgements in batches
reader        looking at a queue, however long it is
deliveries    deliveries, and which of them are still to be settled
diagnostics   the steps of `dlmon doctor`
failures      why a channel or a connection ended, as an error that says what to do
pika_adapter  what is needed of pika; no other module imports it
"""

from dlmon.brokers.rabbitmq.broker import RabbitMQBroker

__all__ = ["RabbitMQBroker"]
