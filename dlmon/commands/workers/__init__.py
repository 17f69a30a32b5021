"""`consume` in several processes under one command.

supervisor  starts the workers, adds up their totals, replaces those that die, stops all of them
worker      one process: `consume` with connections of its own
protocol    the messages between the two, over a socket pair

Workers are new processes, never forks: a fork would share connections, and locks that other threads
hold. Each has a session of its own, so that Ctrl-C reaches the supervisor alone.
"""

from dlmon.commands.workers.supervisor import consume_with_workers

__all__ = ["consume_with_workers"]
