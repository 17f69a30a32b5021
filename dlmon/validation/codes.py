"""The code of what jsonschema-rs reports: a keyword of JSON Schema, or one of dlmon's own.

Paths in a schema mix keywords with names that its author chose: of members, definitions, patterns.
A code is never such a name, or a schema could spell a code that means something else.
"""

from __future__ import annotations

from collections.abc import Sequence

from jsonschema_rs import ValidationError, ValidationErrorKind

from dlmon.validation.violations import FALSE, UNDECIDED

# Keywords whose value is a schema, by drafts 4 to 2020-12.
_SCHEMA = frozenset(
    {
        *("additionalItems", "additionalProperties", "contains", "else", "if", "items", "not"),
        *("propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"),
    }
)
_SCHEMAS_BY_INDEX = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SCHEMAS_BY_NAME = frozenset(
    {
        *("$defs", "definitions", "dependencies", "dependentSchemas"),
        *("patternProperties", "properties"),
    }
)
_ASSERTIONS = frozenset(
    {
        *("const", "contentEncoding", "contentMediaType", "dependentRequired", "enum"),
        *("exclusiveMaximum", "exclusiveMinimum", "format", "maxContains", "maxItems"),
        *("maxLength", "maxProperties", "maximum", "minContains", "minItems", "minLength"),
        *("minProperties", "minimum", "multipleOf", "pattern", "required", "type", "uniqueItems"),
    }
)
KEYWORDS = _SCHEMA | _SCHEMAS_BY_INDEX | _SCHEMAS_BY_NAME | _ASSERTIONS
"""Those that can be broken."""

_GAVE_UP = (ValidationErrorKind.BacktrackLimitExceeded, ValidationErrorKind.RegexEngineFailure)


def code_of(error: ValidationError) -> str:
    """The code of an error."""
    kind = error.kind
    if isinstance(kind, _GAVE_UP):
        return UNDECIDED
    if isinstance(kind, ValidationErrorKind.FalseSchema):
        return _keyword_that_holds(error.schema_path)
    # The last part of the path is the keyword, but for one that is an index.
    for part in reversed(error.schema_path):
        if isinstance(part, str):
            return part if part in KEYWORDS else kind.name
    return kind.name


def _keyword_that_holds(schema_path: Sequence[str | int]) -> str:
    """The keyword that forbids everything by its value `false`, as in `"items": false`.

    `FALSE` where `false` stands under a name or an index: then no keyword alone says it.
    """
    keyword = FALSE
    parts = iter(schema_path)
    for part in parts:
        keyword = FALSE
        if part in _SCHEMAS_BY_NAME:
            next(parts, None)
        elif part in _SCHEMA:
            keyword = str(part)
        elif part not in _SCHEMAS_BY_INDEX and not isinstance(part, int):
            return FALSE  # unknown here, and so is what follows
    return keyword
