"""Everything that can go wrong, with the exit code of each.

    DlmonError
    ├── UsageError                    2
    │   ├── SettingsError             2   a flag, a DLMON_* variable or the TOML file
    │   ├── SchemaError               2   the event schema is missing or is no JSON Schema
    │   └── FileError                 2   a file of events cannot be read or written
    ├── ResourceError                 2   no more processes, open files, memory or room on the disk
    ├── BrokerError                   3
    │   ├── BrokerUnreachable         3   nothing answers (it may later)
    │   ├── BrokerRefused             3   login, vhost or permission
    │   ├── TopologyMismatch          3   a queue or exchange exists with other arguments
    │   ├── RejectsReturned           3   the broker moves rejects to arrivals, again and again
    │   └── PublishRefused            3   the broker did not take these messages
    │       └── UnpublishableMessages 3   and never will, as they are
    ├── StoreError                    4
    │   ├── StoreUnavailable          4   it cannot take anything now (hold the batch)
    │   └── EventsRefused             4   it will never take this batch (find the event)
    └── Interrupted                 130

Bad data is never an exception: it is a `Violation`. A message is one or two plain sentences that
say what to do next; it never contains a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from dlmon.messages import Message


class ExitCode(IntEnum):
    """The exit codes of `dlmon`."""

    DONE = 0
    INVALID_DATA = 1
    USAGE = 2
    BROKER = 3
    STORE = 4
    INTERRUPTED = 130


class DlmonError(Exception):
    """Something went wrong that a user can understand and act on."""

    exit_code = ExitCode.USAGE


class UsageError(DlmonError):
    """The command cannot be carried out as it was written."""


class SettingsError(UsageError):
    """A setting has a value that cannot be used."""


class SchemaError(UsageError):
    """The event schema cannot be used."""


class FileError(UsageError):
    """A file cannot be read or written."""


class ResourceError(DlmonError):
    """The system has no more processes, threads, open files, memory or room on the disk."""


class BrokerError(DlmonError):
    """The broker cannot do what was asked."""

    exit_code = ExitCode.BROKER


class BrokerUnreachable(BrokerError):
    """Nothing answers at the broker's address; trying again later may help."""


class BrokerRefused(BrokerError):
    """The broker answers and refuses the login, the vhost or the permission."""


class TopologyMismatch(BrokerError):
    """An exchange or a queue exists already, declared in another way."""


class RejectsReturned(BrokerError):
    """A binding or a policy moves what is parked in rejects back to arrivals."""


class PublishRefused(BrokerError):
    """The broker did not take some messages: the queue is full, or no queue is bound.

    `messages` are those it concerns, unchanged, so that they can be published again.
    """

    def __init__(self, reason: str, messages: Sequence[Message]) -> None:
        super().__init__(reason)
        self.messages = tuple(messages)


class UnpublishableMessages(PublishRefused):
    """The broker will never take these messages as they are; it has taken all others."""


class StoreError(DlmonError):
    """The store cannot do what was asked."""

    exit_code = ExitCode.STORE


class StoreUnavailable(StoreError):
    """The store cannot be opened or written to now; the same call may succeed later."""


class EventsRefused(StoreError):
    """The store will never take this batch as it is: at least one event of it does not fit."""


class Interrupted(DlmonError):
    """A stop was requested, and what was in hand could not be finished in time."""

    exit_code = ExitCode.INTERRUPTED
