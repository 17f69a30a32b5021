"""Collect download events over RabbitMQ without losing one.

What `__all__` names is the Python API, and stable: incompatible changes of it wait for the next
major version (semver.org). Importing this package loads nothing but what is asked for, and changes
nothing in the process.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlmon.client.publisher import InvalidEvent, Publisher
    from dlmon.errors import (
        BrokerError,
        BrokerRefused,
        BrokerUnreachable,
        DlmonError,
        Interrupted,
        PublishRefused,
        SchemaError,
        SettingsError,
        TopologyMismatch,
        UnpublishableMessages,
        UsageError,
    )
    from dlmon.validation.schema import Schema, load_schema
    from dlmon.validation.validator import Validator
    from dlmon.validation.violations import Verdict, Violation

__version__ = "0.1.0"

__all__ = [
    "BrokerError",
    "BrokerRefused",
    "BrokerUnreachable",
    "DlmonError",
    "Interrupted",
    "InvalidEvent",
    "PublishRefused",
    "Publisher",
    "Schema",
    "SchemaError",
    "SettingsError",
    "TopologyMismatch",
    "UnpublishableMessages",
    "UsageError",
    "Validator",
    "Verdict",
    "Violation",
    "load_schema",
]

_MODULES = {
    "InvalidEvent": "dlmon.client.publisher",
    "Publisher": "dlmon.client.publisher",
    "Schema": "dlmon.validation.schema",
    "load_schema": "dlmon.validation.schema",
    "Validator": "dlmon.validation.validator",
    "Verdict": "dlmon.validation.violations",
    "Violation": "dlmon.validation.violations",
}


if not TYPE_CHECKING:  # a type checker knows the names above, and no others

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_MODULES.get(name, "dlmon.errors")), name)
        globals()[name] = value  # so that the next use finds it without coming here
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
