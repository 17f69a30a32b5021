"""The files of events among the paths that a user names, and in folders."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import NamedTuple

from dlmon.errors import FileError
from dlmon.event_files.input import STDIN, name_of

DEFAULT_GLOBS = tuple(
    f"*.{layout}{packed}"
    for layout in ("ndjson", "jsonl", "json")
    for packed in ("", ".gz", ".zst")
)


class FoundPath(NamedTuple):
    """A file to read; or, with an error, a folder whose files are not all known."""

    path: Path
    error: FileError | None = None


def find_files(paths: Iterable[Path], globs: Sequence[str] = DEFAULT_GLOBS) -> Iterator[FoundPath]:
    """Each path; for a folder, the files in it and below that match one of the globs, in order.

    Globs match without regard to case. One with a slash matches the path below the folder, and
    `**/` in it any number of folders, also none; any other glob matches the name. Of a folder only
    regular files are taken: reading a named pipe in it would wait for ever. Links to folders are
    not followed. A folder that cannot be searched, or without any match, has an error.
    """
    patterns = [variant for glob in globs for variant in _variants(glob.lower())]
    for path in paths:
        if path == STDIN or not _is_folder(path):
            yield FoundPath(path)
        else:
            yield from _search(path, patterns)


def _search(top: Path, patterns: Sequence[str]) -> Iterator[FoundPath]:
    unreadable: list[OSError] = []
    found = False
    for folder, subfolders, names in os.walk(top, onerror=unreadable.append):
        yield from _errors(unreadable)
        subfolders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            below = file.relative_to(top).as_posix().lower()
            if any(
                fnmatchcase(below if "/" in one else name.lower(), one) for one in patterns
            ) and _may_be_regular(file):
                found = True
                yield FoundPath(file)
    found = found or bool(unreadable)
    yield from _errors(unreadable)
    if not found:
        reason = f"{name_of(top)} is a folder without any file that --glob matches."
        yield FoundPath(top, FileError(reason))


def _errors(unreadable: list[OSError]) -> Iterator[FoundPath]:
    while unreadable:
        error = unreadable.pop(0)
        folder = Path(os.fsdecode(error.filename))
        reason = f"Cannot read the folder {name_of(folder)}: {error.strerror}."
        yield FoundPath(folder, FileError(reason))


def _variants(glob: str) -> Iterator[str]:
    """The glob with each `**/` kept, or left out: it also matches no folder at all."""
    parts = glob.split("**/")
    for separators in product(("**/", ""), repeat=len(parts) - 1):
        yield "".join(text for pair in zip(parts, (*separators, ""), strict=True) for text in pair)


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):  # reading it will say what is wrong
        return False


def _may_be_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:  # reading it will say what is wrong
        return True
