"""When old events are deleted, and when not, because a clock may be wrong.

They are deleted in small steps between batches, so that no batch waits long: how long the last one
took decides how many the next one deletes. The age of an event counts from when it was stored. By
its own timestamp, which comes from the clock of an agent, an event that is replayed or imported
late would be deleted at once.

A clock that is wrong for a minute must not empty a store:
- While a command runs, time passes as the monotonic clock says. A wall clock that jumps ahead makes
  no event older, and one that jumps back dates no event earlier.
- At the start, nothing is deleted when all events in the store would go, or when events are from
  the future, until `--confirm-keep` says that clock and `--keep` are right.
- Events from before 2000, which a clock without a battery has dated, go with `--confirm-keep` only.

All times are in seconds since the epoch, by the clock of the store: of the machine for SQLite, of
the server for PostgreSQL.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

FIRST_STEP = 250
"""Events that are deleted in the first transaction; how long it takes decides on the next one."""

_SMALLEST_STEP, _LARGEST_STEP = 50, 2_000
_STEP_TIME = 0.02
"""Seconds that a step is to take. Some take three times as long; half of it makes none shorter."""

_PAUSE = 60.0
"""Seconds until the next step, once a step found fewer events than it may delete."""

_LOG_INTERVAL = 10.0
_WARNING_INTERVAL = 3600.0
_JUMP = 60.0
"""Seconds between wall clock and monotonic clock that are more than a correction."""

_AHEAD = 300.0
"""Seconds. Events that are stored so much later than now are from the future."""

_YEAR_1 = -62_135_596_800.0
_YEAR_2000 = 946_684_800.0

_log = logging.getLogger(__name__)


class Bounds(NamedTuple):
    """Events are deleted from `floor` on and before `cut`. Those after `future` have a wrong date.

    since: when the command started.
    """

    floor: float
    cut: float
    since: float
    future: float


class Ages(NamedTuple):
    """What a store looks like before anything is deleted: which events there are.

    expired: between floor and cut. kept: between cut and since. undated: before floor. future:
    after future. newest: when the newest was stored, in words.
    """

    expired: bool
    kept: bool
    undated: bool
    future: bool
    newest: str | None


class Retention:
    """Decides which events a store deletes, and when."""

    def __init__(
        self, keep: timedelta | None, *, confirmed: bool = False, started: float | None = None
    ) -> None:
        """keep: how long events are kept; None: for ever. confirmed: the user has confirmed it.

        started: when the command started, as `uptime` says; now unless it is given.
        """
        self._keep = None if keep is None else keep.total_seconds()
        self._confirmed = confirmed
        self._started = uptime() if started is None else started
        self._offset: float | None = None  # from the monotonic clock to that of the store
        self._jump = 0
        self._step = FIRST_STEP
        self._refusal: str | None = None
        self._redates = False
        self._due_at = self._log_at = self._warn_at = self._began_at = uptime()
        self._unlogged = 0

    @property
    def wanted(self) -> bool:
        """Whether events are deleted at all."""
        return self._keep is not None

    def bounds(self, now: float) -> Bounds:
        """Which events are deleted at a time."""
        floor = _YEAR_1 if self._confirmed else _YEAR_2000
        cut = max(_YEAR_1, self._credible(now) - (self._keep or 0.0))
        since = now - (uptime() - self._started)
        return Bounds(floor, cut, since, now + _AHEAD)

    def review(self, now: float, ages: Ages) -> None:
        """Decide before the first step whether the clock is to be believed."""
        refusal = None
        if ages.future:
            refusal = (
                f"events in the store are from the future (the newest was stored {ages.newest})"
            )
        elif ages.expired and not ages.kept:
            refusal = f"all events would go (the newest was stored {ages.newest})"
        if self._confirmed:
            self._redates = ages.future
        elif refusal is not None:
            self._refusal = (
                f"--keep deletes nothing: {refusal}, and it is {_in_words(now)} by the clock. "
                "If clock and --keep are right, start once with --confirm-keep."
            )
            self._warn(self._refusal)
        elif ages.undated:
            self._warn(
                "--keep spares events that were stored before 2000 by a clock that was wrong. "
                "To have them deleted, start once with --confirm-keep."
            )

    def is_due(self) -> bool:
        """Whether a step of deletion is due now. It takes until `note_deleted`."""
        now = self._began_at = uptime()
        if self._keep is None or now < self._due_at:
            return False
        self._due_at = now + _PAUSE
        if self._refusal is not None:
            self._warn(self._refusal)
            return False
        return True

    def expected(self) -> float | None:
        """The time by the monotonic clock: no event is dated earlier. None if it is unknown."""
        if self._offset is None or self._refusal is not None:
            return None
        return uptime() + self._offset

    @property
    def step(self) -> int:
        """How many events are to be deleted now, in one transaction."""
        return self._step

    @property
    def redates(self) -> bool:
        """Whether events from the future are to be dated now, a step at a time."""
        return self._redates

    def note_redated(self, events: int) -> None:
        """Note that a step gave so many events from the future the date of today."""
        self._redates = events >= self._step
        if events:
            _log.info("Dated %s events from the future with the time of now.", f"{events:,}")

    def note_deleted(self, events: int, cut: float) -> int:
        """Note that a step deleted so many events, and return that number."""
        now = uptime()
        self._unlogged += events
        is_full = events >= self._step
        if is_full:
            self._due_at = now
            fitting = self._step * _STEP_TIME / max(now - self._began_at, 1e-6)
            self._step = round(min(max(fitting, _SMALLEST_STEP), 2 * self._step, _LARGEST_STEP))
        if self._unlogged and (not is_full or now >= self._log_at):
            self._log_at = now + _LOG_INTERVAL
            _log.info(
                "Deleted %s events that were stored before %s (--keep).",
                f"{self._unlogged:,}",
                _in_words(cut),
            )
            self._unlogged = 0
        return events

    def _credible(self, now: float) -> float:
        """The time by the slower one of both clocks. A jump is logged once."""
        passed = uptime()
        if self._offset is None or abs(now - passed - self._offset) < _JUMP:
            self._offset = now - passed  # clocks drift, and are corrected by seconds
        expected = passed + self._offset
        jump = int((now - expected) / _JUMP)
        if jump and not self._jump:
            how = timedelta(seconds=round(abs(now - expected)))
            _log.warning(
                "The clock jumped %s by %s. Until it is back, or this command is started again, "
                "--keep counts the time that has passed since the start.",
                "ahead" if jump > 0 else "back",
                how,
            )
        self._jump = jump
        return min(now, expected)

    def _warn(self, text: str) -> None:
        now = uptime()
        if now >= self._warn_at:
            self._warn_at = now + _WARNING_INTERVAL
            _log.warning("%s", text)


def uptime() -> float:
    """Seconds on a clock that cannot be set, and that goes on while the machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def _in_words(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
