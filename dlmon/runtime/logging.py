"""Log lines on stderr, for people and for log collectors."""

from __future__ import annotations

import logging
import sys
import time
from typing import TextIO

from dlmon.runtime.stdio import is_terminal
from dlmon.runtime.text import escape


class _Formatter(logging.Formatter):
    """`2026-03-01T12:00:00.123Z INFO dlmon.commands.consume: text`, always in one line."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        # Text from an event must neither start a new line nor move the cursor.
        return escape(super().format(record))


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to the present sys.stderr, which a live view replaces."""

    def emit(self, record: logging.LogRecord) -> None:
        self.setStream(sys.stderr)
        super().emit(record)


def configure_logging(level: str, form: str = "console") -> None:
    """Send dlmon's log to stderr from `level` (debug, info, warning or error) on.

    form: `console` for people, `json` for programs (one object a line, in the Elastic Common
    Schema), `auto` for json where stderr is no terminal.
    """
    handler = _Handler()
    if form == "json" or (form == "auto" and not is_terminal(sys.stderr)):
        from ecs_logging import StdlibFormatter

        handler.setFormatter(StdlibFormatter(exclude_fields=["log.original", "process"]))
    else:
        handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    # dlmon raises or logs everything that matters of it, with what to do.
    logging.getLogger("pika").setLevel(logging.CRITICAL + 1)
    logger = logging.getLogger("dlmon")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(level.upper())
