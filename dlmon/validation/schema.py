"""Loading a JSON Schema, and checking that it can be used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

from dlmon.errors import SchemaError
from dlmon.validation.json_pointer import escape_token, to_pointer

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""The version of JSON Schema of a schema that names none."""

SCHEMA_URI = "urn:dlmon:schema"
"""The URI by which schemas that are derived from a schema refer to it."""

DEFAULT_SCHEMA = "download_event.schema.json"


class Schema:
    """An event schema that is known to be usable."""

    def __init__(self, document: Any, source: str, *, checked: bool = False) -> None:
        """document: the parsed schema. source: where it comes from, for messages.

        checked: whether it is known to be a valid JSON Schema already.

        Raises: SchemaError when it is no valid JSON Schema or refers to what it does not contain.
        """
        self.document = document
        self.source = source
        if not checked:
            _check(document, source)
        try:
            self.compiled = jsonschema_rs.validator_for(
                document, validate_formats=True, retriever=_never_retrieve
            )
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            # Further lines of the message describe an instance, and here there is none.
            reason = str(error).partition("\n")[0].rstrip(".")
            reason, fetching, _ = reason.partition(" and retrieving it failed")
            if fetching:
                reason += ": put it into $defs, since nothing is fetched"
            where = _reference_location(document, reason)
            raise SchemaError(f"The schema {source} cannot be used{where}: {reason}.") from error

    @cached_property
    def all_valid(self) -> Callable[[list[Any]], bool]:
        """Whether all values of a list are valid: one call is faster than many."""
        several = {"$schema": DIALECT, "items": {"$ref": SCHEMA_URI}}
        is_valid: Callable[[Any], bool] = jsonschema_rs.validator_for(
            several, validate_formats=True, registry=self.registry
        ).is_valid
        return is_valid

    @cached_property
    def registry(self) -> jsonschema_rs.Registry:
        """For derived schemas, which refer to this one by `SCHEMA_URI`."""
        return jsonschema_rs.Registry([(SCHEMA_URI, self.document)])

    @cached_property
    def fewest_strings(self) -> int:
        """A number of strings, keys included: every valid value has at least as many.

        A text with exactly so many has no key twice. That is cheap to compare; for the shipped
        schema, every event without further members has exactly so many.
        """
        return _fewest_strings(self.document)

    @cached_property
    def digest(self) -> str:
        """Short hash of the content: the same `$id` with other rules is another version."""
        canonical = orjson.dumps(self.document, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(canonical).hexdigest()[:12]

    @cached_property
    def version(self) -> str:
        """`$id` and digest, as the `dlmon-schema` header carries it."""
        has_id = isinstance(self.document, dict) and isinstance(self.document.get("$id"), str)
        return f"{self.document['$id'] if has_id else Path(self.source).name} {self.digest}"


def load_schema(path: Path | None = None) -> Schema:
    """The schema in a file, or the one that dlmon ships.

    Raises: SchemaError when there is no such file, or it is no usable JSON Schema.
    """
    shipped = path is None
    path = path or shipped_schemas() / DEFAULT_SCHEMA
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SchemaError(f"Cannot read the schema {path}: {error.strerror}.") from error
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SchemaError(f"The schema {path} is not JSON: {error}.") from error
    # Checking takes as long as everything else that a short command does at its start.
    return Schema(document, str(path), checked=shipped)


def shipped_schemas() -> Path:
    """The folder of schemas: inside the package in a wheel, beside it in a checkout."""
    package = Path(str(files("dlmon")))
    inside = package / "schemas"
    return inside if inside.is_dir() else package.parent / "schemas"


def _fewest_strings(schema: Any) -> int:
    if not isinstance(schema, dict) or schema.get("$schema", DIALECT) != DIALECT:
        return 0
    if schema.get("type") == "string":
        return 1
    if schema.get("type") != "object":
        return 0
    properties = schema.get("properties", {})
    return sum(1 + _fewest_strings(properties.get(key)) for key in set(schema.get("required", ())))


def _check(document: Any, source: str) -> None:
    import jsonschema

    if isinstance(document, bool):
        return
    if not isinstance(document, dict):
        raise SchemaError(f"The schema {source} must be a JSON object or a boolean.")
    validator_class = jsonschema.validators.validator_for(
        document, default=jsonschema.Draft202012Validator
    )
    try:
        validator_class.check_schema(document)
    except jsonschema.SchemaError as error:
        where = to_pointer(error.absolute_path)
        raise SchemaError(
            f"The schema {source} is not valid JSON Schema at {where or '/'}: {error.message}"
        ) from error


def _never_retrieve(uri: str) -> Any:
    # A schema from outside must not make dlmon fetch anything: not from a network, not from a disk.
    raise ValueError(uri)


def _reference_location(document: Any, reason: str) -> str:
    """ " at " and the JSON Pointer of the reference that a reason quotes; empty if not known."""
    waiting = [("", document)]
    while waiting:
        path, node = waiting.pop()
        members = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in members:
            pointer = f"{path}/{escape_token(str(key))}"
            if isinstance(value, dict | list):
                waiting.append((pointer, value))
            elif key in ("$ref", "$dynamicRef") and isinstance(value, str):
                parts = (value, *value.split("#"))
                if any(part and f"{part}'" in reason for part in parts):
                    return f" at {pointer}"
    return ""
