"""`consume` in several processes under one command.

supervisor  starts the workers, adds up what they tell, replaces those that die, stops all of them
worker      one of them, a process of its own: `consume` from its own connections into the store
messages    what the two say to each other, over a socket that nobody else has

Workers are started afresh, never forked: a fork would share connections and locks that threads
hold. They are in sessions of their own, so that Ctrl-C reaches the command alone.
"""

from dlmon.commands.workers.supervisor import consume_with_workers

__all__ = ["consume_with_workers"]
