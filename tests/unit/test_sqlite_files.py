"""Paths at which there is no SQLite file, but something that SQLite would open all the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlmon.analysis.summaries import Summaries
from dlmon.brokers.local.database import Database
from dlmon.errors import DlmonError
from dlmon.stores.sqlite import SqliteStore
from dlmon.stores.sqlite_reader import SqliteReader


@pytest.mark.parametrize("opens", [SqliteStore, SqliteReader, Database, Summaries])
def test_a_pipe_or_a_device_is_refused_and_not_waited_for(
    tmp_path: Path, opens: Callable[[Path], Any]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path(os.devnull)):
        with pytest.raises(DlmonError, match=f"^{path} is not a regular file: "):
            opens(path)
