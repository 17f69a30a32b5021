"""Whether a schema lets anything pass that a store with columns can hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dlmon.errors import SchemaError
from dlmon.event import (
    COORDINATES,
    DOWNLOAD_SPEED,
    EVENT_ID,
    FILE_SIZE,
    LATITUDE,
    LONGITUDE,
    TIMESTAMP,
)
from dlmon.validation.schema import Schema

_TEXT = frozenset({"string"})
_NUMBER = frozenset({"number", "integer"})
_OBJECT = frozenset({"object"})

_NEEDED: tuple[tuple[tuple[str, ...], frozenset[str]], ...] = (
    ((), _OBJECT),
    ((TIMESTAMP,), _TEXT),
    ((COORDINATES,), _OBJECT),
    ((COORDINATES, LATITUDE), _NUMBER),
    ((COORDINATES, LONGITUDE), _NUMBER),
    ((FILE_SIZE,), _NUMBER),
    ((DOWNLOAD_SPEED,), _NUMBER),
)
"""What each store with columns needs: where, and of which types of JSON Schema."""

_OLD_DRAFT = re.compile(r"/draft-0[3-7]/")
"""Drafts in which nothing beside a reference counts."""


def refuse_unstorable(schema: Schema) -> None:
    """Refuse a schema that no event satisfies which a store with columns can hold.

    Only what is plain to see is found: what the schema itself says of a member, and what it says
    behind `allOf` and references into itself.

    Raises: SchemaError.
    """
    problem = next(_problems(schema.document), None)
    if problem is not None:
        raise SchemaError(
            f"No event that satisfies the schema {schema.source} can be stored: {problem}. Change "
            "the schema, or store whole events with --store ndjson:PATH, https://HOST/PATH or "
            "stdout."
        )


def _problems(document: Any) -> Iterator[str]:
    for path, types in _NEEDED:
        pointer = "/" + "/".join(path) if path else "the event"
        found = _find(document, document, path)
        if any(part is False for part in found):
            yield f"the store needs {pointer}, which the schema forbids"
        for part in found:
            allowed = part.get("type") if isinstance(part, Mapping) else None
            if allowed is not None and types.isdisjoint(
                [allowed] if isinstance(allowed, str) else allowed
            ):
                wanted = " or ".join(sorted(types))
                yield f"the store needs {pointer} as {wanted}, and the schema has {allowed}"
    for part in _find(document, document, (EVENT_ID,)):
        if (
            isinstance(part, Mapping)
            and EVENT_ID in _required(document)
            and "string" not in _types(part)
        ):
            yield f"the store needs /{EVENT_ID} as string, and the schema has {part['type']}"


def _types(part: Mapping[str, Any]) -> Any:
    return part.get("type", "string")


def _required(document: Any) -> set[str]:
    return {
        name
        for part in _parts(document, document)
        if isinstance(part, Mapping)
        for name in part.get("required", ())
    }


def _find(document: Any, schema: Any, path: tuple[str, ...]) -> list[Any]:
    """What a schema says of the value at a path; False where it forbids it."""
    parts = _parts(document, schema)
    for name in path:
        parts = [
            found
            for part in parts
            for sub in _member(part, name)
            for found in _parts(document, sub)
        ]
    return parts


def _member(part: Any, name: str) -> list[Any]:
    if not isinstance(part, Mapping):
        return []
    properties = part.get("properties", {})
    if name in properties:
        return [properties[name]]
    if part.get("additionalProperties") is False and not part.get("patternProperties"):
        return [False]
    forbidden = part.get("not")
    if isinstance(forbidden, Mapping) and forbidden == {"required": [name]}:
        return [False]
    return []


def _parts(document: Any, schema: Any, depth: int = 8) -> list[Any]:
    """A schema, and all others that have to be satisfied with it."""
    if not isinstance(schema, Mapping) or not depth:
        return [schema]
    others = list(schema.get("allOf", ()))
    reference = schema.get("$ref")
    own = [schema]
    if isinstance(reference, str):
        others.append(_resolve(document, reference[1:]) if reference.startswith("#") else True)
        if _OLD_DRAFT.search(str(document.get("$schema"))):
            own, others = [], others[-1:]
    return own + [part for other in others for part in _parts(document, other, depth - 1)]


def _resolve(document: Any, pointer: str) -> Any:
    """The part of a document at a JSON Pointer; True, which demands nothing, if there is none."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if not isinstance(document, Mapping) or key not in document:
            return True
        document = document[key]
    return document
