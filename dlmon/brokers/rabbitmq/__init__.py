"""RabbitMQ.

broker        the contract, over two connections
topology      the exchange and the two quorum queues
connection    a connection that reconnects by itself, with its I/O loop in a thread of its own
publisher     publishing with a window of unconfirmed messages
consumer      receiving from arrivals, with acknowledgements in batches
several       receiving from several queues at once
reader        looking at a queue, however long it is
deliveries    deliveries, and which of them are still to be settled
identity      whether two connections lead to the same RabbitMQ
suspects      finding the message that the broker answers by a close
streams       queues that are streams, and refused
diagnostics   the steps of `dlmon doctor`
protection    what protects the messages of other queues
policies      what policies of RabbitMQ do to the two queues
management    RabbitMQ's management API, which shows them
failures      why a channel or a connection ended, as an error that says what to do
tls           certificates
pika_adapter  what is needed of pika; no other module imports it
"""

from dlmon.brokers.rabbitmq.broker import RabbitMQBroker

__all__ = ["RabbitMQBroker"]
