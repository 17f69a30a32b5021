"""How a function becomes a command: its help, and the settings that it takes from flags."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, get_type_hints

from dlmon.cli.options import CONFIG, Options

if TYPE_CHECKING:
    from dlmon.config.settings import Settings

_P = ParamSpec("_P")
_Function = TypeVar("_Function", bound=Callable[..., None])


def described_as(text: str) -> Callable[[_Function], _Function]:
    """Give a command its help text. Python removes docstrings under -OO, and not this."""

    def decorate(function: _Function) -> _Function:
        function.__doc__ = inspect.cleandoc(text)
        return function

    return decorate


def takes_settings(
    *groups: Options, **defaults: str
) -> Callable[[Callable[Concatenate[Settings, _P], None]], Callable[..., None]]:
    """Give a command the options of these groups and `--config`, and call it with the settings.

    The command takes a `Settings` first, made of flags, variables and the configuration file;
    logging is configured by it. `--help` shows the command's own options before those of `groups`.

    defaults: what a setting is unless it is given, for this command alone.
    """
    options = {name: option for group in (*groups, CONFIG) for name, option in group.items()}

    def decorate(function: Callable[Concatenate[Settings, _P], None]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(*arguments: Any, config: Path | None, **given: Any) -> None:
            from dlmon.config.settings import load_settings
            from dlmon.runtime.logging import configure_logging

            flags = {name: given.pop(name) for name in options if name != "config"}
            settings = load_settings(flags, os.environ, config, defaults)
            form = settings.log_format if "log_format" in options else "console"
            configure_logging(settings.log_level, form)
            function(settings, *arguments, **given)

        own = inspect.signature(function)
        _, *parameters = own.parameters.values()
        # Settings are imported for type checkers only: typer does not have to know them.
        hints = get_type_hints(function, localns={"Settings": Any}, include_extras=True)
        hints |= options
        parameters += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)
            for name in options
        ]
        # What typer asks a function for.
        command.__annotations__ = hints
        command.__signature__ = own.replace(  # type: ignore[attr-defined]
            parameters=[
                parameter.replace(annotation=hints[parameter.name]) for parameter in parameters
            ],
            return_annotation=None,
        )
        return command

    return decorate
