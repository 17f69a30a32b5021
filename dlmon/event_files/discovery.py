"""The files of events in folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

DEFAULT_GLOBS = tuple(
    f"*.{layout}{packed}"
    for layout in ("ndjson", "jsonl", "json")
    for packed in ("", ".gz", ".zst")
)


def files_in(paths: Iterable[Path], globs: Sequence[str] = DEFAULT_GLOBS) -> Iterator[Path]:
    """Each path, and for a folder what matches one of the globs in it and below, in order.

    A glob with a slash is for the path below the folder, any other for the name. Links to folders
    are not followed. A folder without such a file stands for itself: reading it says what is wrong.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        empty = True
        for folder, subfolders, names in os.walk(path):
            subfolders.sort()
            for name in sorted(names):
                file = Path(folder, name)
                below = file.relative_to(path).as_posix()
                if any(fnmatch(below if "/" in glob else name, glob) for glob in globs):
                    empty = False
                    yield file
        if empty:
            yield path
