"""What settings describe."""

from __future__ import annotations

import os
import socket

from dlmon.config.settings import Settings
from dlmon.validation.schema import Schema, load_schema
from dlmon.validation.validator import Validator


def configured_schema(settings: Settings) -> Schema:
    """Raises: SchemaError."""
    return load_schema(settings.schema, settings.schema_refs, assume_offset=settings.assume_offset)


def configured_validator(settings: Settings) -> Validator:
    """Raises: SchemaError."""
    return Validator(
        configured_schema(settings), settings.max_event_bytes, settings.max_message_bytes
    )


def configured_name(settings: Settings) -> str:
    """What this process is called in the rejections that it makes."""
    return settings.connection_name or f"{socket.gethostname()}:{os.getpid()}"
