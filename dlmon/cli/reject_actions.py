"""What `replay-rejects` and `discard-rejects` share: show, ask, act, and hand over a receipt."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dlmon.cli.signals import stop_on_signals
from dlmon.errors import ExitCode, FileError, UsageError

if TYPE_CHECKING:
    from dlmon.brokers.base import Broker
    from dlmon.config.settings import Settings
    from dlmon.rejects.actions import Receipt, ReceiptEntry, Run
    from dlmon.rejects.queue import Rejects
    from dlmon.validation.validator import Validator

_STDIN = Path("-")


@dataclass(frozen=True, slots=True)
class Action:
    """A command that acts on rejects, ready to be carried out.

    act: does it. verb, done: what that is, in words (`replay`, `replayed`). limit: to how many at
    most. receipt: a file to write what became of each to. source: a file of rejects, None for the
    queue. preview: shows more of a dry run, once it has ended.
    """

    settings: Settings
    validator: Validator
    act: Callable[[Broker, Rejects, Run], Receipt]
    verb: str
    done: str
    limit: int | None
    receipt: Path | None
    source: Path | None = None
    preview: Callable[[Receipt], None] = lambda _would_be: None

    def carry_out(self, *, yes: bool, dry_run: bool) -> None:
        """Act at once (`yes`), show what would be done (`dry_run`), or show that and then ask.

        After asking, nothing is touched that was not there when it was shown.

        Raises: UsageError, FileError, BrokerError. typer.Exit when it was interrupted.
        """
        seen = None
        if dry_run or not yes:
            if not dry_run and (self.source == _STDIN or not _can_ask()):
                raise UsageError(
                    f"Nobody can be asked here: add --yes to {self.verb}, or --dry-run to look."
                )
            would_be, seen = self._run(None, self.receipt if dry_run else None, dry_run=True)
            self.preview(would_be)
            self._end(would_be, dry_run=True)
            if dry_run or not would_be.done:
                return
            if not typer.confirm(f"{self.verb.capitalize()} {would_be.done:,}?", err=True):
                return
        receipt, _ = self._run(seen, self.receipt, dry_run=False)
        self._end(receipt, dry_run=False)

    def _run(
        self, among: AbstractSet[bytes] | None, receipt: Path | None, *, dry_run: bool
    ) -> tuple[Receipt, AbstractSet[bytes] | None]:
        """The receipt, and which rejects of the queue were looked at."""
        from dlmon.brokers import open_broker
        from dlmon.console.rejects.summary import progress_bar
        from dlmon.rejects.actions import Run
        from dlmon.rejects.export import read_rejects
        from dlmon.rejects.queue import FiledRejects, QueuedRejects

        with ExitStack() as stack:
            stop = stack.enter_context(stop_on_signals())
            broker = stack.enter_context(open_broker(self.settings, stop))
            tell = stack.enter_context(_receipt_file(receipt, dry_run=dry_run))
            progress = stack.enter_context(progress_bar(f"{self.verb} rejects"))
            run = Run(stop, self.limit, dry_run, progress, tell)
            if self.source is not None:
                filed = FiledRejects(read_rejects(self.source), stop)
                return self.act(broker, filed, run), None
            queued = QueuedRejects(broker, self.validator, stop, among=among)
            with queued:
                return self.act(broker, queued, run), queued.seen

    def _end(self, receipt: Receipt, *, dry_run: bool) -> None:
        from dlmon.console.rejects.summary import show_receipt

        show_receipt(receipt, self.done, dry_run=dry_run)
        if receipt.error is not None:
            raise receipt.error
        if receipt.interrupted:
            raise typer.Exit(ExitCode.INTERRUPTED)


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


@contextmanager
def _receipt_file(path: Path | None, *, dry_run: bool) -> Iterator[Callable[[ReceiptEntry], None]]:
    """Appends what it is told of to a file at once, one JSON object a line: a run that is repeated
    takes nothing from the receipt of the one before."""
    if path is None:
        yield lambda _fate: None
        return
    try:
        with path.open("a", encoding="utf-8", buffering=1) as file:
            yield lambda fate: print(json.dumps({**fate._asdict(), "dry_run": dry_run}), file=file)
    except OSError as error:
        raise FileError(f"Cannot write {path}: {error.strerror}.") from error
