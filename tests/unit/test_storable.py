"""Schemas that let nothing pass which a store with columns can hold."""

from __future__ import annotations

from typing import Any

import pytest

from dlmon.errors import SchemaError
from dlmon.validation.schema import Schema, load_schema
from dlmon.validation.storable import refuse_unstorable

TYPES = {
    "timestamp": {"type": "string"},
    "coordinates": {
        "type": "object",
        "properties": {"latitude": {"type": "number"}, "longitude": {"type": "number"}},
    },
    "file_size": {"type": "integer"},
    "download_speed": {"type": "number"},
}
CLOSED = {"type": "object", "properties": TYPES, "additionalProperties": False}


@pytest.mark.parametrize(
    "document",
    [
        True,
        {},
        CLOSED,
        {"$defs": {"event": CLOSED}, "$ref": "#/$defs/event"},
        {"$ref": "#/$defs/not-there", "$defs": {"not-there": True}},
        {"anyOf": [{"required": ["timestamp"]}, {"additionalProperties": False}]},
        {"additionalProperties": False, "patternProperties": {".": True}},
        {"properties": {"event_id": {"type": "integer"}}},
        {"type": ["object", "null"], "properties": {"file_size": {"type": ["integer", "null"]}}},
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "#/definitions/event",
            "additionalProperties": False,
            "definitions": {"event": {}},
        },
    ],
)
def test_a_schema_of_storable_events_is_taken(document: Any) -> None:
    refuse_unstorable(Schema(document, "own.json"))


def test_the_shipped_schema_is_taken() -> None:
    refuse_unstorable(load_schema())


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (False, "the store needs the event, which the schema forbids"),
        ({"type": "array"}, "the store needs the event as object, and the schema has array"),
        ({"additionalProperties": False}, "needs /timestamp, which the schema forbids"),
        ({"properties": {"timestamp": {"type": "integer"}}}, "/timestamp as string"),
        ({"properties": {"coordinates": {"type": "array"}}}, "/coordinates as object"),
        ({"properties": {"coordinates": False}}, "/coordinates, which the schema forbids"),
        ({"not": {"required": ["file_size"]}}, "/file_size, which the schema forbids"),
        (
            {"properties": {"coordinates": {"properties": {"latitude": {"type": "string"}}}}},
            "/coordinates/latitude as integer or number, and the schema has string",
        ),
        ({"allOf": [{}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"type": "null"}}}, "has null"),
        (
            {"required": ["event_id"], "properties": {"event_id": {"type": "integer"}}},
            "/event_id as string, and the schema has integer",
        ),
    ],
)
def test_a_schema_that_no_storable_event_satisfies_is_refused(document: Any, words: str) -> None:
    with pytest.raises(SchemaError, match=r"own\.json") as refused:
        refuse_unstorable(Schema(document, "own.json"))
    assert words in str(refused.value)
    assert "--store ndjson:PATH" in str(refused.value)
