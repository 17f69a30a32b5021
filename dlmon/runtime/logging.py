"""Log lines on stderr, for people and for log collectors."""

from __future__ import annotations

import logging
import sys
import time
from typing import TextIO

from dlmon.runtime.polling import wait_until_ready
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


_logger = logging.getLogger(__name__)

_LONGEST_WAIT = 1.0  # seconds


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to the present sys.stderr, which a live view replaces."""

    def __init__(self) -> None:
        super().__init__()
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.setStream(sys.stderr)
        # A reader of the log that stalls must not stop the work: neither storing events nor the
        # heartbeat. It is waited for once; then lines are left out until it goes on.
        if not _has_room(self.stream, 0.0 if self._lost else _LONGEST_WAIT):
            self._lost += 1
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            text = "%d lines of the log before this one were lost: stderr was full."
            _logger.warning(text, lost)
        super().emit(record)


def _has_room(stream: TextIO, seconds: float) -> bool:
    """Whether a line can be written without waiting for longer than this.

    A terminal is always waited for: whoever stops its output wants to read all of it.
    """
    try:
        return stream.isatty() or bool(
            wait_until_ready(writable=(stream.fileno(),), seconds=seconds)
        )
    except OSError:  # it has no descriptor
        return True


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
