"""Which rules of a schema a value breaks, and where, without a word about it.

To explain a violation takes jsonschema-rs several times as long as to find it, and whoever only
counts needs no words. Most schemas of events say what each member has to be like, and each of these
rules holds or not whatever becomes of the others. So they can be asked one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

import jsonschema_rs

from dlmon.json_text import escape_pointer
from dlmon.validation import DIALECT, Schema

Rule: TypeAlias = tuple[str, str]
"""Its code and the JSON Pointer of the value that breaks it, as in `Violation`."""

_IsValid: TypeAlias = Callable[[Any], bool]

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

_URI = "urn:dlmon:one"


class BrokenRules:
    """Tells the broken rules of values by one schema."""

    def __init__(self, schema: Schema) -> None:
        self._node = _node(schema.document, "", "", _Compiler(schema.document))

    def of(self, value: Any) -> list[Rule] | None:
        """Each broken rule, as often as it is broken; None where only explaining can tell."""
        if self._node is None:
            return None
        rules: list[Rule] = []
        return rules if self._node.find(value, rules) else None


class _Compiler:
    """Makes validators of parts of a schema."""

    def __init__(self, document: Any) -> None:
        self._registry = jsonschema_rs.Registry([(_URI, document)])

    def part(self, pointer: str) -> _IsValid:
        """The schema at a JSON Pointer into the document."""
        # As the fragment of a URI (RFC 6901 section 6).
        return self._compile({"$ref": f"{_URI}#{quote(pointer)}"})

    def keyword(self, keyword: str, value: Any) -> _IsValid:
        """One keyword alone; it must not refer to anything."""
        return self._compile({keyword: value})

    def _compile(self, schema: Mapping[str, Any]) -> _IsValid:
        is_valid: _IsValid = jsonschema_rs.validator_for(
            {"$schema": DIALECT, **schema}, validate_formats=True, registry=self._registry
        ).is_valid
        return is_valid


class _Node:
    """The rules for one value, and for its members."""

    __slots__ = ("_checks", "_leaves", "_missing", "_nested", "_object_checks")

    def __init__(
        self, schema: Mapping[str, Any], pointer: str, path: str, compiler: _Compiler
    ) -> None:
        """pointer: of the schema in its document. path: of the value in the event."""
        checks = [
            (compiler.keyword(keyword, value), (keyword, path))
            for keyword, value in schema.items()
            if keyword in _INDEPENDENT
        ]
        # Events are objects, and to ask for the type of each would take as long as for a member.
        is_object = schema.get("type") == "object"
        self._checks = checks
        self._object_checks = [one for one in checks if not (is_object and one[1][0] == "type")]
        self._missing = ("required", path)
        # Members without members, with how to tell what is wrong with one: None if nobody can.
        self._leaves: list[tuple[str, bool, _IsValid, _Node | None]] = []
        self._nested: list[tuple[str, bool, _Node]] = []
        required = schema.get("required", ())
        members = schema.get("properties", {})
        for name, member in members.items():
            token = f"/{escape_pointer(name)}"
            at = f"{pointer}/properties{token}"
            node = _node(member, at, f"{path}{token}", compiler)
            if node is not None and node._leaves:
                self._nested.append((name, name in required, node))
            else:
                self._leaves.append((name, name in required, compiler.part(at), node))
        for name in required:
            if name not in members:
                self._leaves.append((name, True, _anything, None))

    def find(self, value: Any, rules: list[Rule]) -> bool:
        """Add the broken rules to others; False where that cannot be told."""
        is_object = type(value) is dict
        for is_valid, rule in self._object_checks if is_object else self._checks:
            if not is_valid(value):
                rules.append(rule)
        if not is_object:
            return True
        for name, required, is_valid, node in self._leaves:
            if name in value:
                if not is_valid(value[name]) and not (node and node.find(value[name], rules)):
                    return False
            elif required:
                rules.append(self._missing)
        for name, required, node in self._nested:
            if name in value:
                if not node.find(value[name], rules):
                    return False
            elif required:
                rules.append(self._missing)
        return True


def _anything(_value: Any) -> bool:
    return True


def _node(schema: Any, pointer: str, path: str, compiler: _Compiler) -> _Node | None:
    """None where rules depend on each other, or nobody knows what they are."""
    if not isinstance(schema, dict) or schema.get("$schema", DIALECT) != DIALECT:
        return None
    if not schema.keys() <= _INDEPENDENT | _FORBID_NOTHING | _BY_MEMBER:
        return None
    return _Node(schema, pointer, path, compiler)
