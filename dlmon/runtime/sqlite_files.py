"""Whose SQLite file this is, and what went wrong with it."""

from __future__ import annotations

import sqlite3
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


def primary_code(error: sqlite3.Error) -> int:
    """The result code without its extension in the upper bytes (sqlite.org/rescode.html)."""
    return error.sqlite_errorcode & 0xFF
