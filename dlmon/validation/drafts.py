"""Which draft of JSON Schema a schema is in. This is the one place that decides it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import orjson

from dlmon.errors import SchemaError


@dataclass(frozen=True, slots=True)
class Draft:
    """A version of JSON Schema.

    uri: its metaschema's. validator: compiles its schemas. checker: the class of `jsonschema` that
    checks schemas by its metaschema.
    """

    name: str
    uri: str
    validator: type[jsonschema_rs.Validator]
    checker: str


LATEST = Draft(
    "2020-12",
    "https://json-schema.org/draft/2020-12/schema",
    jsonschema_rs.Draft202012Validator,
    "Draft202012Validator",
)
"""The draft of a schema that names none."""

_DRAFTS = (
    LATEST,
    Draft(
        "2019-09",
        "https://json-schema.org/draft/2019-09/schema",
        jsonschema_rs.Draft201909Validator,
        "Draft201909Validator",
    ),
    Draft(
        "draft-07",
        "http://json-schema.org/draft-07/schema#",
        jsonschema_rs.Draft7Validator,
        "Draft7Validator",
    ),
    Draft(
        "draft-06",
        "http://json-schema.org/draft-06/schema#",
        jsonschema_rs.Draft6Validator,
        "Draft6Validator",
    ),
    Draft(
        "draft-04",
        "http://json-schema.org/draft-04/schema#",
        jsonschema_rs.Draft4Validator,
        "Draft4Validator",
    ),
)
# Schemas write http for https and the other way round, and `#` or none: all mean the same.
_METASCHEMA = re.compile(r"https?://json-schema\.org/((?:[\w./-]+/)?schema)#?", re.IGNORECASE)
_MAX_SHOWN = 100


def _path_of(uri: str) -> str | None:
    match = _METASCHEMA.fullmatch(uri)
    return match and match[1].lower()


_BY_PATH = {
    **{_path_of(draft.uri): draft for draft in _DRAFTS},
    "schema": LATEST,  # without a draft: the latest
}


def draft_of(document: Any, source: str) -> Draft:
    """The draft of a parsed schema. source: where it comes from, for messages.

    Raises: SchemaError when `$schema` names none that is known.
    """
    if not isinstance(document, dict) or "$schema" not in document:
        return LATEST
    named = document["$schema"]
    if isinstance(named, str) and (draft := _BY_PATH.get(_path_of(named))):
        return draft
    shown = orjson.dumps(named).decode()
    shown = shown if len(shown) <= _MAX_SHOWN else shown[:_MAX_SHOWN] + "…"
    known = ", ".join(draft.uri for draft in _DRAFTS)
    raise SchemaError(
        f"The schema {source} has the $schema {shown}, which dlmon does not know: "
        f"it has to be one of {known}."
    )


def with_known_draft(document: Any, source: str) -> Any:
    """The schema with `$schema` spelled as the draft's metaschema spells it.

    Raises: SchemaError when `$schema` names none that is known.
    """
    if isinstance(document, dict) and "$schema" in document:
        return {**document, "$schema": draft_of(document, source).uri}
    return document
