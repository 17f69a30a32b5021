from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli.command import described_as, takes_settings
from dlmon.cli.options import BROKER, LOG_LEVEL, STORE, VALIDATION
from dlmon.cli.signals import stop_on_signals

if TYPE_CHECKING:
    from dlmon.config.settings import Settings
    from dlmon.web.options import ServeOptions

_PANEL = "Who may come in"


@described_as(
    """See the downloads and the rejects in a browser, and mend them there.

    Prints an address to open, with a token that works once. Only this machine reaches it.
    The page only looks, unless --allow-actions is given.

    \b
    Examples:
      dlmon serve
      dlmon serve --broker local --allow-actions
      dlmon serve --host 10.0.0.5 --cert page.pem --key page.key --password-file password
    """
)
@takes_settings(BROKER, STORE, VALIDATION, LOG_LEVEL)
def serve(
    settings: Settings,
    *,
    host: Annotated[str, typer.Option(metavar="HOST", help="The address to listen at.")] = (
        "127.0.0.1"
    ),
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, metavar="PORT", help="Its port; 0: a free one."),
    ] = 9180,
    allow_actions: Annotated[
        bool, typer.Option("--allow-actions", help="Let the page replay and discard rejects.")
    ] = False,
    password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Ask for the password in this file, instead of a token.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    trust_proxy: Annotated[
        str | None,
        typer.Option(
            metavar="HEADER",
            help="A proxy in front logs people in, and names them in this header.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    cert: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A certificate (PEM): answer by HTTPS.", rich_help_panel=_PANEL
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The key of --cert.", rich_help_panel=_PANEL),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Answer to this name too; can be repeated.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    in_container: Annotated[
        bool,
        typer.Option(
            "--in-container",
            help="Allow --host 0.0.0.0 with a token: the container's port is published on loopback "
            "only.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
) -> None:
    from dlmon.config.secrets import Secret
    from dlmon.web.options import ServeOptions

    options = ServeOptions(
        host=host,
        port=port,
        allow_actions=allow_actions,
        password=None if password_file is None else Secret.in_file(password_file),
        proxy_header=trust_proxy,
        certificate=cert,
        key=key,
        allowed_hosts=tuple(allow_host or ()),
        in_container=in_container,
    )
    serve_page(settings, options)


def serve_page(settings: Settings, options: ServeOptions) -> None:
    """Answer browsers until a signal. Raises: UsageError."""
    from dlmon.commands.configured import configured_validator
    from dlmon.web.server import serve

    validator = configured_validator(settings)
    with stop_on_signals("what was being replayed is still in rejects, or in arrivals") as stop:
        serve(settings, options, validator, stop, _announce)


def _announce(address: str) -> None:
    typer.echo(f"Open {address}", err=True)
