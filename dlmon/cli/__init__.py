"""The command line: options, wiring and exit codes, one file a command, and nothing else.

What a command does is in `dlmon.commands`, what it looks like in `dlmon.console`. Heavy libraries
are imported inside the functions that need them, so that `dlmon --help` starts at once.

A command `some-name` is the function `some_name` in `dlmon/cli/some_name.py`.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
from collections import UserDict
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from dlmon import __version__
from dlmon.cli.command import Command
from dlmon.cli.ctrl_c import CtrlC, check_ctrl_c, raise_on_ctrl_c
from dlmon.errors import DlmonError, ExitCode, UsageError
from dlmon.runtime.resources import as_resource_error
from dlmon.runtime.stdio import install_reliable_streams
from dlmon.runtime.text import escape

_CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"]}
_COMMANDS = (
    "demo",
    "produce",
    "consume",
    "inspect-rejects",
    "replay-rejects",
    "discard-rejects",
    "try-schema",
    "forward",
    "report",
    "serve",
    "validate-file",
    "status",
    "doctor",
)


class _BrokenPipe(BaseException):
    """The reader of our output has gone. Not an OSError: typer would exit with 1."""


class _LazyCommands(UserDict[str, Any]):
    """Commands by name, each imported and made when it is asked for. Those that are not yet made
    are None.

    Making the parsers of all of them takes a tenth of a start.
    """

    def __getitem__(self, name: str) -> Any:
        if self.data[name] is None:
            function = name.replace("-", "_")
            module = importlib.import_module(f"dlmon.cli.{function}")
            alone = typer.Typer(add_completion=False, context_settings=_CONTEXT_SETTINGS)
            alone.command(name, cls=Command)(getattr(module, function))
            self.data[name] = typer.main.get_command(alone)
        return self.data[name]


class _Commands(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes | {"commands": _LazyCommands(dict.fromkeys(_COMMANDS))})

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        installs = "--install-completion" in args
        try:
            return super().parse_args(ctx, args)
        except (OSError, RuntimeError) as error:
            if not installs:
                raise
            raise UsageError(
                f"Cannot install the completion in the home folder ({error}). "
                "--show-completion prints it."
            ) from error

    def invoke(self, ctx: Any) -> Any:
        try:
            try:
                result = super().invoke(ctx)
                check_ctrl_c()
                return result
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()  # Python would ignore an error of the flush at exit
        except BrokenPipeError as error:
            raise _BrokenPipe from error


app = typer.Typer(
    name="dlmon",
    cls=_Commands,
    help="Collect download events over RabbitMQ without losing one.",
    epilog="Start here: dlmon demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=_CONTEXT_SETTINGS,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dlmon {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


def _drop_useless_widths() -> None:
    """typer prints help in the width that a variable gives, be it 0 or no number at all."""
    for name in ("COLUMNS", "TERMINAL_WIDTH"):
        if not re.fullmatch(r"0*[2-9][0-9]|0*[1-9][0-9]{2,4}", os.environ.get(name, "80")):
            del os.environ[name]


def main() -> NoReturn:
    """Run `dlmon` with this process's arguments, and exit."""
    try:
        raise_on_ctrl_c()
        install_reliable_streams()
        _drop_useless_widths()
        with as_resource_error():
            app()
        code = ExitCode.DONE
    except DlmonError as error:
        code = error.exit_code
        text = "\n".join(map(escape, str(error).split("\n")))
        print(f"dlmon: {text}", file=sys.stderr)  # noqa: T201  (the one place that ends a process)
    except CtrlC:
        code = ExitCode.INTERRUPTED
    except _BrokenPipe:
        code = ExitCode.DONE
    finally:
        # All is done and said. Raised while Python exits, `CtrlC` would only show a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)
