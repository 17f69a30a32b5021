"""RabbitMQ.

broker       the contract, over two connections
topology     the exchange and the two quorum queues
publication  publishing with a window of unconfirmed messages
consumer     receiving from arrivals, with acknowledgements in batches
reader       looking at a queue, however long it is
link         one connection that comes back by itself; the one file that knows pika
"""

from dlmon.brokers.rabbitmq.broker import RabbitMQBroker

__all__ = ["RabbitMQBroker"]
