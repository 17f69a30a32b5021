"""dlmon: collect download events over RabbitMQ without losing one."""

__version__ = "0.1.0"
