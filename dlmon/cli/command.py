"""How a function becomes a command: its help, and groups of options that it takes as one value."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from typer.core import TyperCommand

from dlmon.cli.options import ALL_SETTINGS, CONFIG, Options
from dlmon.errors import UsageError

if TYPE_CHECKING:
    from dlmon.config.settings import Settings

_Function = TypeVar("_Function", bound=Callable[..., None])


def described_as(text: str) -> Callable[[_Function], _Function]:
    """Give a command its help text. Python removes docstrings under -OO, and not this."""

    def decorate(function: _Function) -> _Function:
        function.__doc__ = inspect.cleandoc(text)
        return function

    return decorate


class Command(TyperCommand):
    """A command that refuses what is no number or no text, before it does anything.

    A path may be any bytes.
    """

    def invoke(self, ctx: Any) -> Any:
        for parameter in self.params:
            # Those of settings are checked with the settings.
            if parameter.name not in ALL_SETTINGS:
                values = ctx.params.get(parameter.name)
                for value in values if isinstance(values, list | tuple) else (values,):
                    if parameter.type.name != "path":
                        _check(parameter.opts[0], value)
                    elif value == "":
                        raise UsageError(f"{_shown(parameter)}: a name of a file is empty.")
        return super().invoke(ctx)


def _shown(parameter: Any) -> str:
    """As the help has it: arguments by their metavariable."""
    option = parameter.param_type_name == "option"
    return str(parameter.opts[0] if option else parameter.metavar.rstrip("."))


def _check(option: str, value: object) -> None:
    """Raises: UsageError."""
    # Compared with NaN, any limit seems to be kept.
    if isinstance(value, float) and not isfinite(value):
        raise UsageError(f"{option}: expected a number, got {value}.")
    # What is not UTF-8 is in Python's arguments as surrogates.
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise UsageError(f"{option}: expected UTF-8 text.")


def takes_settings(*groups: Options, **defaults: str) -> Callable[[_Function], Callable[..., None]]:
    """Give a command the options of these groups and `--config`, and call it with the settings.

    The command's parameter `settings` is a `Settings` made of flags, variables and the
    configuration file; logging is configured by it. `--help` shows the command's own options
    before those of `groups`.

    defaults: what a setting is unless it is given, for this command alone.
    """
    options = {name: option for group in (*groups, CONFIG) for name, option in group.items()}

    def load(*, config: Path | None, **flags: Any) -> Settings:
        from dlmon.cli.used_files import refuse_shared_files
        from dlmon.config.settings import load_settings
        from dlmon.runtime.logging import configure_logging

        settings = load_settings(flags, os.environ, config, defaults)
        form = settings.log_format if "log_format" in options else "console"
        configure_logging(settings.log_level, form)
        refuse_shared_files(settings)
        return settings

    return takes("settings", options, load)


def takes(
    parameter: str, options: Options, make: Callable[..., object]
) -> Callable[[_Function], Callable[..., None]]:
    """Give a command these options, and call it with `parameter` as `make` makes it of them."""

    def decorate(function: _Function) -> Callable[..., None]:
        @functools.wraps(function)
        def command(**given: Any) -> None:
            made = make(**{name: given.pop(name) for name in options})
            function(**{parameter: made}, **given)

        own = inspect.signature(function)
        # These types are imported for type checkers only: typer does not have to know them.
        unknown = {"Settings": Any, own.parameters[parameter].annotation: Any}
        hints = get_type_hints(function, localns=unknown, include_extras=True) | dict(options)
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)
            for name in options
        ]
        kept = [one for one in own.parameters.values() if one.name != parameter]
        # What typer asks a function for.
        command.__annotations__ = hints
        command.__signature__ = own.replace(  # type: ignore[attr-defined]
            parameters=[one.replace(annotation=hints[one.name]) for one in (*kept, *added)],
            return_annotation=None,
        )
        return command

    return decorate
