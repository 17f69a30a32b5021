"""Refuses a file that a command would both read and write, or write twice.

Such a command reads what it has just written and never ends, or destroys its own input. Files are
compared by device and inode, so that links and redirections of the shell (`> FILE`, `>> FILE`)
count too.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TextIO, TypeAlias

from dlmon.errors import UsageError

_STREAM = Path("-")

_Identity: TypeAlias = tuple[int, int] | Path
"""Device and inode of a file; its resolved path where it does not exist yet."""


class UsedFile(NamedTuple):
    """A file that a command uses, and what it is for in words, such as `--from`."""

    use: str
    path: Path


def refuse_same_file(written: Iterable[UsedFile], read: Iterable[UsedFile] = ()) -> None:
    """Make sure that each written file is none of the others.

    written: `-` for stdout. read: files that must not be written; `-` for stdin. stdout and stderr
    count as written in any case; they alone may share a file.

    Raises: UsageError.
    """
    uses: dict[_Identity, str] = {}
    for use, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        if (identity := _identity_of_stream(stream)) is not None:
            uses.setdefault(identity, use)
    for use, path in written:
        if path == _STREAM:
            continue
        if (identity := _identity(path)) is None:
            continue
        if identity in uses:
            raise UsageError(f"{uses[identity]} and {use} are the same file, {path}: name another.")
        uses[identity] = use
    for use, path in read if uses else ():
        identity = _identity_of_stream(sys.stdin) if path == _STREAM else _identity(path)
        if identity is not None and identity in uses:
            name = "stdin" if path == _STREAM else path
            raise UsageError(
                f"{uses[identity]} and {use} are the same file, {name}: what is written would "
                "spoil what is read. Write to another one."
            )


def with_sqlite_files(use: str, path: Path) -> Iterator[UsedFile]:
    """A SQLite database, and the files that SQLite keeps beside it (sqlite.org/tempfiles.html)."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        yield UsedFile(use, path.with_name(path.name + suffix))


def _identity(path: Path) -> _Identity | None:
    """None where the file can be shared (a terminal, /dev/null), or what it is is unknown."""
    try:
        return _identity_of(path.stat())
    except FileNotFoundError:
        return path.resolve()
    except (OSError, ValueError):  # opening it will say why
        return None


def _identity_of_stream(stream: TextIO | None) -> _Identity | None:
    try:
        return None if stream is None else _identity_of(os.fstat(stream.fileno()))
    except OSError:  # it has no descriptor
        return None


def _identity_of(status: os.stat_result) -> _Identity | None:
    kinds = (stat.S_ISREG, stat.S_ISFIFO, stat.S_ISBLK)
    if not any(kind(status.st_mode) for kind in kinds):
        return None
    return status.st_dev, status.st_ino
