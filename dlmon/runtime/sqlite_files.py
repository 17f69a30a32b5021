"""Whose SQLite file this is, and what went wrong with it."""

from __future__ import annotations

import sqlite3
import stat
from dataclasses import dataclass
from pathlib import Path

READ_HEADER = (
    "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) "
    "FROM pragma_application_id, pragma_user_version"
)
"""Selects the one row that `FileFormat.problem_with` takes."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """One of dlmon's own kinds of SQLite files.

    name: in words, "a store". application_id, version: of `PRAGMA application_id` and `PRAGMA
    user_version`; a newer dlmon writes a higher version.
    """

    name: str
    application_id: int
    version: int

    def problem_with(self, path: Path, header: tuple[int, int, int]) -> str | None:
        """Why the file cannot be used, None when it can: it is of this kind, or empty."""
        application_id, version, _tables = header
        if application_id != self.application_id and header != (0, 0, 0):
            return (
                f"{path} is a SQLite file of something else, not {self.name} of dlmon: "
                "choose another path."
            )
        if version > self.version:
            return f"{path} was made by a newer dlmon: upgrade this one, or choose another path."
        return None


def is_special_file(path: Path) -> bool:
    """Whether there is a pipe, a device or a socket, in which SQLite would wait for ever or find a
    lock that nobody has."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # opening it will say why
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def primary_code(error: sqlite3.Error) -> int:
    """The result code without its extension in the upper bytes (sqlite.org/rescode.html)."""
    return error.sqlite_errorcode & 0xFF
