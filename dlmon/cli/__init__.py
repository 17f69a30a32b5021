"""The command line: options, wiring and exit codes, one file a command, and nothing else.

What a command does is in `dlmon.commands`, what it looks like in `dlmon.console`. Heavy libraries
are imported inside the functions that need them, so that `dlmon --help` starts at once.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from dlmon import __version__
from dlmon.cli import (
    consume,
    demo,
    discard_rejects,
    doctor,
    inspect_rejects,
    produce,
    replay_rejects,
    status,
    validate_file,
)
from dlmon.errors import DlmonError, ExitCode
from dlmon.runtime.stdio import install_reliable_stdout


class _NobodyReads(BaseException):
    """Whoever read our output has gone. Not an OSError: typer would end with 1."""


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            try:
                return super().invoke(ctx)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()  # at exit, nobody could tell of what fails
        except BrokenPipeError as error:
            raise _NobodyReads from error


app = typer.Typer(
    name="dlmon",
    cls=_Commands,
    help="Collect download events over RabbitMQ without losing one.",
    epilog="Start here: dlmon demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
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


for _name, _command in (
    ("demo", demo.demo),
    ("produce", produce.produce),
    ("consume", consume.consume),
    ("inspect-rejects", inspect_rejects.inspect_rejects),
    ("replay-rejects", replay_rejects.replay_rejects),
    ("discard-rejects", discard_rejects.discard_rejects),
    ("validate-file", validate_file.validate_file),
    ("status", status.status),
    ("doctor", doctor.doctor),
):
    app.command(_name)(_command)


def _forget_other_commands(wanted: str) -> None:
    """Leave only this one, if it is one: to make the parsers of all takes a tenth of a start."""
    named = [one for one in app.registered_commands if one.name == wanted]
    app.registered_commands = named or app.registered_commands


class _CtrlC(BaseException):
    """Ctrl-C outside of `stop_on_signals`. Not a KeyboardInterrupt: typer would end with 1."""


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _CtrlC


def main() -> NoReturn:
    """Run `dlmon` with this process's arguments, and exit."""
    signal.signal(signal.SIGINT, _interrupt)
    install_reliable_stdout()
    _forget_other_commands("".join(sys.argv[1:2]))
    try:
        app()
        code = ExitCode.DONE
    except DlmonError as error:
        code = error.exit_code
        print(f"dlmon: {error}", file=sys.stderr)  # noqa: T201  (the one place that ends a process)
    except _CtrlC:
        code = ExitCode.INTERRUPTED
    except _NobodyReads:
        code = ExitCode.DONE
    sys.exit(code)
