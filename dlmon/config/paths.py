"""Paths in settings, and the folders of the user."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from dlmon.errors import SettingsError
from dlmon.runtime.text import quote


def parse_path(text: str) -> Path:
    """A path as a setting names it. `~` is the home folder, `~name` that of another user.

    Raises: ValueError.
    """
    if not text or "\0" in text:
        raise ValueError(f"expected a path, got {quote(text)}")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        home = quote(text.partition("/")[0])
        raise ValueError(f"the home folder {home} is not known: write the whole path") from error


def config_file() -> Path | None:
    """The user's own configuration file, whether it exists or not. None without a home folder."""
    folder = _of_user(platformdirs.user_config_dir)
    return None if folder is None else folder / "dlmon.toml"


def data_file(name: str) -> Path:
    """A file in the user's data folder, which need not exist yet.

    Raises: SettingsError when there can be no such folder.
    """
    folder = _of_user(platformdirs.user_data_dir)
    if folder is None:
        raise _without_data_folder("there is no home folder")
    present = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    if not os.path.isdir(present):  # noqa: PTH112  (Path.is_dir may raise PermissionError)
        raise _without_data_folder(f"{present} is not a folder")
    if not os.access(present, os.W_OK | os.X_OK):
        raise _without_data_folder(f"{present} cannot be written to")
    return folder / name


def _of_user(folder: Callable[..., str]) -> Path | None:
    try:
        path = Path(folder("dlmon", appauthor=False))
    except RuntimeError:  # there is no home folder
        return None
    return path if path.is_absolute() else None  # before platformdirs 4.10: `~/...`


def _without_data_folder(reason: str) -> SettingsError:
    return SettingsError(
        f"There is no place for dlmon's data: {reason}. Name files by --broker sqlite:///PATH and "
        "--store sqlite:///PATH, or a folder for them in the variable XDG_DATA_HOME."
    )
