"""A JSON Schema that is known to be usable."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import jsonschema_rs
import orjson

from dlmon.errors import SchemaError
from dlmon.validation.drafts import LATEST, draft_of, with_known_draft
from dlmon.validation.json_pointer import escape_token, to_pointer
from dlmon.validation.offsets import date_times
from dlmon.validation.schema_files import DEFAULT_SCHEMA, read_schema, shipped_schemas
from dlmon.validation.schema_references import SchemaReferences, file_uri, id_uri

_NO_REFERENCES = SchemaReferences()

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class Schema:
    """An event schema that is known to be usable."""

    def __init__(
        self,
        document: Any,
        source: str,
        *,
        references: SchemaReferences = _NO_REFERENCES,
        checked: bool = False,
        assume_offset: str | None = None,
    ) -> None:
        """document: the parsed schema. source: the file it comes from.

        references: the documents that it may refer to. checked: whether it is known to be a valid
        JSON Schema already. assume_offset: of a time without one, such as `+00:00`; None for no
        such times.

        Raises: SchemaError when it is no valid JSON Schema, or refers to what is not there.
        """
        self.document = document
        self.source = source
        self.assume_offset = assume_offset
        self._formats = None if assume_offset is None else {"date-time": date_times(assume_offset)}
        self._uri = file_uri(Path(source))
        self._compilable = with_known_draft(document, source)
        if not checked:
            _check(self._compilable, source)
        found = _Found(references)
        try:
            self.compiled = draft_of(document, source).validator(
                self._compilable,
                validate_formats=True,
                retriever=found.retrieve,
                base_uri=self._uri,
                formats=self._formats,
            )
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            found.raise_for(self)
            raise SchemaError(_unusable(document, source, error)) from error
        found.raise_for(self)
        self._referenced = found.documents

    @cached_property
    def all_valid(self) -> Callable[[list[Any]], bool]:
        """Whether all values of a list are valid: one call is faster than many."""
        together = self.derive(lambda uri: {"$schema": LATEST.uri, "items": {"$ref": uri}})
        if together is not None:
            is_valid: Callable[[list[Any]], bool] = together.is_valid
            return is_valid
        return lambda values: all(map(self.compiled.is_valid, values))

    def derive(
        self,
        refer: Callable[[str], Any],
        keywords: Mapping[str, type] | None = None,
    ) -> jsonschema_rs.Validator | None:
        """A schema that refers to this one, compiled. None where it would not mean the same there.

        refer: makes the schema from the URI of this one. keywords: its own, by name.
        """
        if self._depends_on_its_root:
            return None
        uri = id_uri(self._compilable, self._uri)
        documents = {**self._referenced, uri: self._compilable}
        try:
            return jsonschema_rs.validator_for(
                refer(uri),
                validate_formats=True,
                retriever=documents.__getitem__,
                keywords=dict(keywords or {}),
                formats=self._formats,
            )
        except (ValueError, jsonschema_rs.ReferencingError):
            # jsonschema-rs does not find metaschemas behind a document that it retrieved.
            return None

    @property
    def _depends_on_its_root(self) -> bool:
        # Where `$recursiveRef` leads depends on the outermost schema, which another one would be.
        documents = [self._compilable, *self._referenced.values()]
        return any(pointer.endswith("/$recursiveRef") for _, pointer in _references_in(documents))

    @cached_property
    def always_decides(self) -> bool:
        """Whether each of its patterns matches in linear time, so that none gives up."""
        try:
            draft_of(self.document, self.source).validator(
                self._compilable,
                retriever=self._referenced.__getitem__,
                base_uri=self._uri,
                pattern_options=jsonschema_rs.RegexOptions(),
            )
        except ValueError:
            return False
        return True

    @cached_property
    def fewest_strings(self) -> int:
        """A number of strings, keys included: every valid value has at least as many.

        A text with exactly so many has no key twice. That is cheap to compare; for the shipped
        schema, every event without further members has exactly so many.
        """
        return _fewest_strings(self._compilable)

    @cached_property
    def digest(self) -> str:
        """Short hash of the content: the same `$id` with other rules is another version."""
        digest = hashlib.sha256(_canonical(self.document))
        for referenced in sorted(map(_canonical, self._referenced.values())):
            digest.update(referenced)
        return digest.hexdigest()[:12]

    @cached_property
    def version(self) -> str:
        """`$id` and digest, as the `dlmon-schema` header carries it."""
        has_id = isinstance(self.document, dict) and isinstance(self.document.get("$id"), str)
        return f"{self.document['$id'] if has_id else Path(self.source).name} {self.digest}"


class _Found:
    """What jsonschema-rs asks for while it compiles a schema."""

    def __init__(self, references: SchemaReferences) -> None:
        self.documents: dict[str, Any] = {}
        self._references = references
        self._missing: set[str] = set()
        self._error: SchemaError | None = None

    def retrieve(self, uri: str) -> Any:
        """The document for a URI; one in its place if there is none, so that all are asked for."""
        try:
            document = self._references.find(uri)
        except SchemaError as error:
            # jsonschema-rs would make a text of it.
            self._error = self._error or error
            return True
        if document is None:
            self._missing.add(uri)
            return True
        self.documents[uri] = document
        return document

    def raise_for(self, schema: Schema) -> None:
        """Raises: SchemaError when something that the schema refers to is missing or unusable."""
        if self._error:
            raise self._error
        if not self._missing:
            return
        missing = sorted(self._missing)
        listed = ", ".join(
            uri + _location(schema.document, file_uri(Path(schema.source)), uri) for uri in missing
        )
        options = " ".join(f"--schema-ref {name}" for name in sorted(set(map(_file_for, missing))))
        raise SchemaError(
            f"The schema {schema.source} refers to documents that are not there: {listed}. "
            "Nothing is fetched: name the files, or a folder that has them, with "
            f"{options} (or put them into $defs)."
        )


def load_schema(
    path: Path | None = None, references: Sequence[Path] = (), *, assume_offset: str | None = None
) -> Schema:
    """The schema in a file, or the one that dlmon ships.

    references: files and folders with the documents that it refers to. assume_offset: see `Schema`.

    Raises: SchemaError when there is no such file, or it is no usable JSON Schema.
    """
    shipped = path is None
    path = path or shipped_schemas() / DEFAULT_SCHEMA
    # Checking takes as long as everything else that a short command does at its start.
    return Schema(
        read_schema(path),
        str(path),
        references=SchemaReferences(references),
        checked=shipped,
        assume_offset=assume_offset,
    )


def _canonical(document: Any) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def _fewest_strings(schema: Any) -> int:
    if not isinstance(schema, dict) or schema.get("$schema", LATEST.uri) != LATEST.uri:
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
    validator_class = getattr(jsonschema, draft_of(document, source).checker)
    # Patterns are ECMA 262's, not Python's: jsonschema-rs, which will match them, checks them.
    formats = validator_class.FORMAT_CHECKER.checkers.keys() - {"regex"}
    try:
        validator_class.check_schema(document, jsonschema.FormatChecker(formats))
    except jsonschema.SchemaError as error:
        where = to_pointer(error.absolute_path)
        raise SchemaError(
            f"The schema {source} is not valid JSON Schema at {where or '/'}: {error.message}"
        ) from error
    except RecursionError as error:
        raise SchemaError(f"The schema {source} is nested too deeply to be checked.") from error


def _unusable(document: Any, source: str, error: Exception) -> str:
    # Further lines of the message describe an instance, and here there is none.
    reason = str(error).partition("\n")[0].rstrip(".")
    where = ""
    if isinstance(error, jsonschema_rs.ValidationError) and error.instance_path:
        where = f" at {to_pointer(error.instance_path)}"
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Format):
            reason += ": patterns are those of ECMA 262 that jsonschema-rs can match"
    else:
        where = _quoted_location(document, reason)
    return f"The schema {source} cannot be used{where}: {reason}."


def _references_in(document: Any) -> list[tuple[str, str]]:
    """The references in a schema, and the JSON Pointer of each."""
    found = []
    waiting = [("", document)]
    while waiting:
        path, node = waiting.pop()
        if not isinstance(node, dict | list):
            continue
        members = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in members:
            pointer = f"{path}/{escape_token(str(key))}"
            if key in _REFERENCES and isinstance(value, str):
                found.append((value, pointer))
            waiting.append((pointer, value))
    return found


def _quoted_location(document: Any, reason: str) -> str:
    """ " at " and the JSON Pointer of the reference that a reason quotes; empty if not known."""
    for reference, pointer in _references_in(document):
        parts = (reference, *reference.split("#"))
        if any(part and f"{part}'" in reason for part in parts):
            return f" at {pointer}"
    return ""


def _location(document: Any, base: str, uri: str) -> str:
    """The JSON Pointer of the reference to a URI, in brackets; empty if it is in another file."""
    pointers = [
        pointer
        for reference, pointer in _references_in(document)
        if (named := urldefrag(reference).url)
        and (urldefrag(urljoin(base, named)).url == uri or uri.endswith(f"/{named}"))
    ]
    return f" (at {min(pointers)})" if pointers else ""


def _file_for(uri: str) -> str:
    """The likely name of a file with the document of a URI, as a shell takes it."""
    path = unquote(urlsplit(uri).path)
    name = path if urlsplit(uri).scheme == "file" else path.rpartition("/")[2]
    return shlex.quote(name) if name else "FILE"
