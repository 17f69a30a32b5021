"""File names as code hosts want them: relative to the repository."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from dlmon.event_files.input import STDIN_NAME


class RepositoryPaths:
    """Turns the names of files into paths relative to the root of the repository."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self.of = lru_cache(maxsize=8)(self._path)

    def _path(self, file: str) -> str:
        """The path with slashes and without `..`; absolute for a file outside of the root."""
        if file == STDIN_NAME:
            return file
        # Not resolved as a whole: a link to a file is in the repository under its own name.
        path = Path(file).parent.resolve() / Path(file).name
        return path.relative_to(self._root).as_posix() if self._root in path.parents else str(path)
