"""The configuration file: TOML, with one setting a line."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlmon.config.paths import config_file, parse_path
from dlmon.config.values import SETTINGS
from dlmon.errors import SettingsError
from dlmon.runtime.files import read_at_most

_IN_THE_CURRENT_FOLDER = Path("dlmon.toml")
_MAX_BYTES = 1024 * 1024


def read_config(named: Path | None, environ: Mapping[str, str]) -> tuple[Path, dict[str, Any]]:
    """The values of the file that is used, as TOML has them, and its path.

    That is `named`, else the one in DLMON_CONFIG; these must exist. Else it is ./dlmon.toml or the
    user's own, and no values where neither is there.

    Raises: SettingsError.
    """
    path = named or _path_in(environ)
    if path is not None:
        return path, _read(path)
    for candidate in filter(None, (_IN_THE_CURRENT_FOLDER, config_file())):
        # One in a folder that cannot be looked into is not there: nobody has named it.
        if _exists(candidate):
            return candidate, _read(candidate)
    return _IN_THE_CURRENT_FOLDER, {}


def _path_in(environ: Mapping[str, str]) -> Path | None:
    try:
        return parse_path(environ["DLMON_CONFIG"]) if environ.get("DLMON_CONFIG") else None
    except ValueError as error:
        raise SettingsError(f"DLMON_CONFIG: {error}.") from error


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return False
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(read_at_most(path, _MAX_BYTES).decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise SettingsError(f"There is no configuration file {path}.") from error
    except OSError as error:
        raise SettingsError(f"Cannot read the configuration {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"The configuration {path} is not TOML: not UTF-8 text.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The configuration {path} is not TOML: {error}.") from error
    except RecursionError as error:
        raise SettingsError(f"The configuration {path} is nested too deeply.") from error
    for name, value in values.items():
        if name not in SETTINGS:
            near = difflib.get_close_matches(name, SETTINGS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise SettingsError(f"{path} has an unknown setting {name!r}.{hint}")
        if isinstance(value, dict) or (isinstance(value, list) and not SETTINGS[name].several):
            raise SettingsError(f"{name} in {path}: expected one value.")
    return values
