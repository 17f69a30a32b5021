"""How fast dlmon is, beside others that do the same job: `python -m benchmarks`.

contenders  one short program each; see `contenders.clock` for what is timed
broker      a RabbitMQ node of the benchmarks' own, and events to fill it with
rounds      runs all contenders in turn, several times
table       medians and ratios
"""
