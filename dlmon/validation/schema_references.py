"""Documents that a schema refers to. Nothing is fetched: they are files that the user named.

A document is found, in this order,
- at the place that a relative reference means: beside the file that refers to it,
- by its `$id`, or that of a schema inside it,
- by the end of the URL: `https://example.com/schemas/size.json` is `schemas/size.json` or
  `size.json` in a folder that was named, or a file `size.json` that was.
In no case is a file read that was not named and is in no folder that was.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from dlmon.errors import SchemaError
from dlmon.validation.drafts import draft_of, with_known_draft
from dlmon.validation.schema_files import read_schema

SUFFIXES = frozenset({".json", ".jsonschema", ".schema"})
"""Of the files in a folder, those that may be schemas."""

MAX_FILES = 10_000
"""Files looked at in folders. More are no collection of schemas but a mistake."""

# What they hold is data, in which `$id` means nothing.
_DATA = frozenset({"const", "enum", "default", "examples"})


def file_uri(path: Path) -> str:
    """The URI that relative references in a file are resolved against."""
    return _absolute(path).as_uri()


def id_uri(document: Any, base: str) -> str:
    """The `$id` of a document as an absolute URI; its base where it has none."""
    for uri, schema in _identified(document, base):
        return uri if schema is document else base
    return base


@dataclass(frozen=True, slots=True)
class _File:
    """path: absolute. name: its path in the folder that was named, or its name."""

    path: Path
    name: str


class SchemaReferences:
    """The documents that schemas may refer to."""

    def __init__(self, named: Sequence[Path] = ()) -> None:
        """named: files, and folders of files.

        Raises: SchemaError when one of them cannot be read.
        """
        self._documents: dict[Path, Any] = {}
        self._folders = []
        for path in map(_absolute, named):
            if path.is_dir():
                self._folders.append(path)
            else:
                self._read(path)
        self._single = [_File(path, path.name) for path in self._documents]

    def find(self, uri: str) -> Any:
        """The document that an absolute URI refers to; None if there is none.

        Raises: SchemaError when it cannot be read, or two documents could be meant.
        """
        is_file = urlsplit(uri).scheme == "file"
        if is_file and (file := self._by_uri.get(uri)):
            return self._read(file.path)
        if uri in self._by_id:
            return _only(uri, self._by_id[uri])
        return None if is_file else _only(uri, self._named_like(uri))

    @cached_property
    def _files(self) -> Sequence[_File]:
        files = list(self._single)
        for folder in self._folders:
            files += islice(_files_in(folder), MAX_FILES + 1)
            if len(files) > MAX_FILES:
                raise SchemaError(
                    f"{folder} has more than {MAX_FILES} files: "
                    "name a folder with schemas for --schema-ref, and little else."
                )
        return files

    @cached_property
    def _by_uri(self) -> dict[str, _File]:
        return {file.path.as_uri(): file for file in self._files}

    @cached_property
    def _by_id(self) -> dict[str, dict[Path, Any]]:
        """By `$id` as an absolute URI: the schemas that have it, by file."""
        found: dict[str, dict[Path, Any]] = {}
        for file in self._files:
            try:
                document = self._read(file.path)
            except SchemaError:
                # A folder can hold other files, too. One that is referred to will be read again.
                continue
            for uri, schema in _identified(document, file.path.as_uri()):
                found.setdefault(uri, {})[file.path] = schema
        return found

    def _named_like(self, uri: str) -> dict[Path, Any]:
        """The documents by the end of a URL: those that have most of it in common."""
        tail = f"/{unquote(urlsplit(uri).path).lstrip('/')}"
        alike = [file for file in self._files if tail.endswith(f"/{file.name}")]
        longest = max((len(file.name) for file in alike), default=0)
        return {file.path: self._read(file.path) for file in alike if len(file.name) == longest}

    def _read(self, path: Path) -> Any:
        if path not in self._documents:
            self._documents[path] = with_known_draft(read_schema(path), str(path))
        return self._documents[path]


def _absolute(path: Path) -> Path:
    # Not `resolve`: references are relative to the name of a file, not to where a link leads.
    return Path(os.path.abspath(path))  # noqa: PTH100


def _only(uri: str, candidates: dict[Path, Any]) -> Any:
    """The one document among the candidates, None if there is no candidate."""
    if not candidates:
        return None
    (first, document), *others = candidates.items()
    for other, content in others:
        if content != document:
            raise SchemaError(
                f"Both {first} and {other} could be {uri}: name only one for --schema-ref."
            )
    return document


def documents_in(folder: Path) -> Iterator[Path]:
    """The files of a folder that may be read as documents."""
    return (file.path for file in islice(_files_in(folder), MAX_FILES))


def _files_in(folder: Path) -> Iterator[_File]:
    """The regular files in a folder and its subfolders. No link leads out of it."""
    inside = Path(os.path.realpath(folder))
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if (
                path.suffix.lower() in SUFFIXES
                and path.is_file()
                and Path(os.path.realpath(path)).is_relative_to(inside)
            ):
                yield _File(path, path.relative_to(folder).as_posix())


def _identified(document: Any, base: str) -> Iterator[tuple[str, Any]]:
    """Each schema in a document that has an id, with that id as an absolute URI."""
    key = "id" if draft_of(document, base).name == "draft-04" else "$id"
    waiting = [(document, base)]
    while waiting:
        node, base = waiting.pop()
        if isinstance(node, list):
            waiting += [(child, base) for child in node]
        elif isinstance(node, dict):
            if isinstance(named := node.get(key), str) and not named.startswith("#"):
                base = urldefrag(urljoin(base, named)).url
                yield base, node
            waiting += [(child, base) for name, child in node.items() if name not in _DATA]
