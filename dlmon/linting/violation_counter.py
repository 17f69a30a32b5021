"""Counts the violations of many values by broken rule, without explaining them.

jsonschema-rs takes several times as long to explain a violation, with its error object and its
message, as to find it. Where a report counts violations that it does not show, it needs no message.

In most schemas of events, each keyword holds or not whatever the others say. Such a schema is
rewritten: `{"minimum": 0}` becomes `{"if": {"minimum": 0}, "else": {REPORT: ["minimum", path]}}`.
REPORT is a keyword of our own that never fails: it appends its rule to a list. One call with an
array of values then collects the broken rules of all of them; another keyword, START, separates the
values in the list. Whatever cannot be rewritten in this way is reported as unknown, and the caller
explains that value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote

from dlmon.validation.drafts import LATEST
from dlmon.validation.json_pointer import escape_token
from dlmon.validation.schema import Schema
from dlmon.validation.validator import MAX_VIOLATIONS

Rule: TypeAlias = tuple[str, str]
"""A code and the JSON Pointer of the value that breaks the rule, as in `Violation`."""

# Each of these fails once or not at all, whatever else the schema says.
_INDEPENDENT = frozenset(
    {
        *("type", "enum", "const", "format"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "pattern"),
        *("minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
    }
)
_ANNOTATIONS = frozenset(
    {
        *("$schema", "$id", "$comment", "$defs", "title", "description", "default"),
        *("deprecated", "readOnly", "writeOnly", "examples"),
    }
)
_REWRITTEN = frozenset({"properties", "required"})

_REPORT = "urn:dlmon:report"
_START = "urn:dlmon:start"
_UNKNOWN = ()
"""In place of a rule: some rules are broken, and only an explanation can tell which."""


class ViolationCounter:
    """Finds the broken rules of values by one schema."""

    def __init__(self, schema: Schema) -> None:
        reported: list[Any] = []  # each value, followed by the rules that it breaks

        class StartKeyword:
            """The keyword that each value meets first: rules reported next are about this one."""

            def __init__(self, *_: Any) -> None:
                self.validate = reported.append

        class ReportKeyword:
            """The keyword that is met where a rule is broken. Its value is that rule."""

            def __init__(self, _schema: Any, rule: list[str], _path: Any) -> None:
                self._rule = tuple(rule)

            def validate(self, _value: Any) -> None:
                reported.append(self._rule)

        self._reported = reported
        self._run = None
        # A pattern that gives up would end the call before it comes to the other values.
        if _can_be_rewritten(schema.document) and schema.always_decides:
            derived = schema.derive(
                lambda uri: _rewrite_for_each(schema.document, uri),
                keywords={_START: StartKeyword, _REPORT: ReportKeyword},
            )
            self._run = None if derived is None else derived.is_valid

    def broken_rules(self, values: Sequence[Any]) -> list[list[Rule] | None]:
        """The rules that each value breaks, as often as it breaks them.

        None for a value that has to be explained: its rules depend on each other, or it breaks more
        than `MAX_VIOLATIONS`.
        """
        if self._run is None:
            return [None] * len(values)
        self._run(values)
        each: list[list[Rule] | None] = []
        for one in self._reported:
            if type(one) is not tuple:  # a value: no JSON value is a tuple
                rules: list[Rule] = []
                each.append(rules)
            elif one:
                rules.append(one)
            else:
                each[-1] = None  # `_UNKNOWN`
        if len(self._reported) > MAX_VIOLATIONS:
            each = [None if one is None or len(one) > MAX_VIOLATIONS else one for one in each]
        self._reported.clear()
        return each


def _can_be_rewritten(schema: Any) -> bool:
    """Whether all its keywords are known, and do not depend on each other."""
    return (
        isinstance(schema, dict)
        and schema.get("$schema", LATEST.uri) == LATEST.uri
        and schema.keys() <= _INDEPENDENT | _ANNOTATIONS | _REWRITTEN
    )


def _rewrite_for_each(schema: Any, uri: str) -> dict[str, Any]:
    """The rewritten form of a schema, for an array of values. uri: of the schema."""
    rewritten = _rewrite(schema, f"{uri}#", "")
    return {"$schema": LATEST.uri, "items": {"if": {_START: True}, "then": rewritten}}


def _rewrite(schema: Any, uri: str, path: str) -> dict[str, Any]:
    """The rewritten form of a schema. uri: of the schema. path: of the value in the event."""
    if not _can_be_rewritten(schema):
        return _report_unless({"$ref": uri}, _UNKNOWN)
    rules = [({code: value}, code) for code, value in schema.items() if code in _INDEPENDENT]
    rules += [({"required": [name]}, "required") for name in schema.get("required", ())]
    rewritten: dict[str, Any] = {}
    if rules:
        rewritten["if"] = {code: schema[code] for _, code in rules}
        rewritten["else"] = {"allOf": [_report_unless(rule, (code, path)) for rule, code in rules]}
    if "properties" in schema:
        rewritten["properties"] = members = {}
        for name, member in schema["properties"].items():
            token = f"/{escape_token(name)}"
            # A JSON Pointer as the fragment of a URI (RFC 6901 section 6).
            fragment = f"/properties{quote(token)}"
            members[name] = _rewrite(member, f"{uri}{fragment}", f"{path}{token}")
    return rewritten


def _report_unless(schema: Mapping[str, Any], rule: Rule | tuple[()]) -> dict[str, Any]:
    return {"if": schema, "else": {_REPORT: [*rule]}}
