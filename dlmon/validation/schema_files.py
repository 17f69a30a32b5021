"""Reads schemas from files."""

from __future__ import annotations

from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from dlmon.errors import SchemaError
from dlmon.runtime.files import read_at_most
from dlmon.validation.data_formats import BYTE_ORDER_MARK, recognize_format
from dlmon.validation.duplicate_keys import duplicate_keys, may_have_duplicate_keys
from dlmon.validation.json_positions import offset_deeper_than

DEFAULT_SCHEMA = "download_event.schema.json"

MAX_SCHEMA_BYTES = 64 * 1024 * 1024
"""Of one file, so that a wrong path, be it /dev/zero, is not read without end."""

MAX_SCHEMA_DEPTH = 200
"""Levels of nesting of a schema file."""

_SHOWN = 5


def shipped_schemas() -> Path:
    """The folder of schemas: inside the package in a wheel, beside it in a checkout."""
    package = Path(str(files("dlmon")))
    inside = package / "schemas"
    return inside if inside.is_dir() else package.parent / "schemas"


def read_schema(path: Path) -> Any:
    """The JSON document in a file.

    A byte order mark in front of it is ignored, as RFC 8259 section 8.1 allows.

    Raises: SchemaError when the file cannot be read, is not JSON, is nested too deeply, or has a
    key twice in one object: which one counts would be anybody's guess.
    """
    try:
        text = read_at_most(path, MAX_SCHEMA_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise SchemaError(f"Cannot read the schema {path}: {reason}.") from error
    try:
        document = orjson.loads(text.removeprefix(BYTE_ORDER_MARK))
    except orjson.JSONDecodeError as error:
        form = recognize_format(text)
        hint = f", it looks like {form}" if form else ""
        raise SchemaError(f"The schema {path} is not JSON{hint}: {error}.") from error
    if offset_deeper_than(text, MAX_SCHEMA_DEPTH) is not None:
        raise SchemaError(f"The schema {path} is nested more than {MAX_SCHEMA_DEPTH} levels deep.")
    if may_have_duplicate_keys(text, document) and (
        duplicates := list(islice(duplicate_keys(text), _SHOWN))
    ):
        raise SchemaError(
            f"The schema {path} has a key more than once in one object, "
            f"at {', '.join(duplicates)}: remove all but one."
        )
    return document
