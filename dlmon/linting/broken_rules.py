"""Which rules of a schema a value breaks, and where, without a word about it.

To explain a violation takes jsonschema-rs several times as long as to find it, and whoever only
counts needs no words. Most schemas of events say what each member has to be like, and each of these
rules holds or not whatever becomes of the others. From such a schema another one is made, which no
value breaks: with a keyword of our own, it tells each rule of the first one that is broken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote

import jsonschema_rs

from dlmon.validation.json_pointer import escape_token
from dlmon.validation.schema import DIALECT, SCHEMA_URI, Schema
from dlmon.validation.validator import MAX_VIOLATIONS

Rule: TypeAlias = tuple[str, str]
"""Its code and the JSON Pointer of the value that breaks it, as in `Violation`."""

# Each is broken once or not at all, whatever else the schema says.
_INDEPENDENT = frozenset(
    {
        *("type", "enum", "const", "format"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "pattern"),
        *("minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
    }
)
_FORBID_NOTHING = frozenset(
    {
        *("$schema", "$id", "$comment", "$defs", "title", "description", "default"),
        *("deprecated", "readOnly", "writeOnly", "examples"),
    }
)
_BY_MEMBER = frozenset({"properties", "required"})

_TELL = "urn:dlmon:tell"
_NEXT = "urn:dlmon:next"
_UNKNOWN = ()
"""In place of a rule: some are broken, and only explaining can tell which."""


class BrokenRules:
    """Tells the broken rules of values by one schema."""

    def __init__(self, schema: Schema) -> None:
        told: list[Any] = []  # values, and behind each the rules that it breaks

        class Next:
            """The keyword that each value meets first: what is told next is about this one."""

            def __init__(self, *_: Any) -> None:
                self.validate = told.append

        class Tell:
            """The keyword that is met where a rule is broken; its value is that rule."""

            def __init__(self, _schema: Any, rule: list[str], _path: Any) -> None:
                self._rule = tuple(rule)

            def validate(self, _value: Any) -> None:
                told.append(self._rule)

        self._told = told
        self._look_at = None
        if _can_be_told(schema.document):
            telling = _telling(schema.document, "", "")
            self._look_at = jsonschema_rs.validator_for(
                {"$schema": DIALECT, "items": {"if": {_NEXT: True}, "then": telling}},
                validate_formats=True,
                registry=schema.registry,
                keywords={_NEXT: Next, _TELL: Tell},
            ).is_valid

    def of_each(self, values: Sequence[Any]) -> list[list[Rule] | None]:
        """Of each value, the broken rules, as often as they are broken.

        None in place of those that only explaining can tell, or that are more than are told.
        """
        if self._look_at is None:
            return [None] * len(values)
        self._look_at(values)
        each: list[list[Rule] | None] = []
        for one in self._told:
            if type(one) is not tuple:  # no JSON value is a tuple
                rules: list[Rule] = []
                each.append(rules)
            elif one:
                rules.append(one)
            else:
                each[-1] = None  # `_UNKNOWN`
        if len(self._told) > MAX_VIOLATIONS:
            each = [None if one is None or len(one) > MAX_VIOLATIONS else one for one in each]
        self._told.clear()
        return each


def _can_be_told(schema: Any) -> bool:
    """Whether its rules do not depend on each other, and are known."""
    return (
        isinstance(schema, dict)
        and schema.get("$schema", DIALECT) == DIALECT
        and schema.keys() <= _INDEPENDENT | _FORBID_NOTHING | _BY_MEMBER
    )


def _telling(schema: Any, pointer: str, path: str) -> dict[str, Any]:
    """The schema that tells of another one, which stands at a JSON Pointer of the document.

    path: of the value in the event.
    """
    if not _can_be_told(schema):
        # As the fragment of a URI (RFC 6901 section 6).
        return _unless({"$ref": f"{SCHEMA_URI}#{quote(pointer)}"}, _UNKNOWN)
    rules = [({code: value}, code) for code, value in schema.items() if code in _INDEPENDENT]
    rules += [({"required": [name]}, "required") for name in schema.get("required", ())]
    telling: dict[str, Any] = {}
    if rules:
        telling["if"] = {code: schema[code] for _, code in rules}
        telling["else"] = {"allOf": [_unless(rule, (code, path)) for rule, code in rules]}
    if "properties" in schema:
        telling["properties"] = members = {}
        for name, member in schema["properties"].items():
            token = f"/{escape_token(name)}"
            members[name] = _telling(member, f"{pointer}/properties{token}", f"{path}{token}")
    return telling


def _unless(schema: Mapping[str, Any], rule: Rule | tuple[()]) -> dict[str, Any]:
    return {"if": schema, "else": {_TELL: [*rule]}}
