"""What `replay-rejects` and `discard-rejects` share: preview, confirm, act, show the receipt."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dlmon.cli.reject_options import ActionOptions
from dlmon.cli.signals import stop_on_signals
from dlmon.errors import ExitCode, UsageError
from dlmon.runtime.stdio import is_terminal

if TYPE_CHECKING:
    from dlmon.brokers.base import Broker
    from dlmon.config.settings import Settings
    from dlmon.rejects.actions import Run
    from dlmon.rejects.queue import Rejects
    from dlmon.rejects.receipt import OnEntry, Receipt
    from dlmon.validation.validator import Validator


@dataclass(frozen=True, slots=True)
class RejectAction:
    """An action on rejects.

    act: does it. verb, done: what it is, in words (`replay`, `replayed`). source: a file of
    rejects, None for the queue. show_preview: shows more of a dry run, once it has ended.
    """

    settings: Settings
    validator: Validator
    act: Callable[[Broker, Rejects, Run], Receipt]
    verb: str
    done: str
    show_preview: Callable[[Receipt], None]
    source: Path | None = None

    def execute(self, options: ActionOptions) -> None:
        """Act at once (`yes`), show what would be done (`dry_run`), or show that and then ask.

        After asking, only rejects that were there when it was shown are touched.

        Raises: UsageError, FileError, BrokerError. typer.Exit when it was interrupted.
        """
        seen = None
        if options.dry_run or not options.yes:
            if not options.dry_run and (self._reads_stdin or not _can_ask()):
                raise UsageError(
                    f"No terminal to ask on: add --yes to {self.verb}, or --dry-run to look."
                )
            would_be, seen = self._run(options, None, dry_run=True)
            self.show_preview(would_be)
            self._finish(would_be, dry_run=True)
            if options.dry_run or not would_be.done:
                return
            if not typer.confirm(f"{self.verb.capitalize()} {would_be.done:,}?", err=True):
                return
        receipt, _ = self._run(options, seen, dry_run=False)
        self._finish(receipt, dry_run=False)

    @property
    def _reads_stdin(self) -> bool:
        from dlmon.event_files.input import STDIN

        return self.source == STDIN

    def _run(
        self, options: ActionOptions, only: AbstractSet[bytes] | None, *, dry_run: bool
    ) -> tuple[Receipt, AbstractSet[bytes] | None]:
        """The receipt, and the keys of the rejects of the queue that were looked at.

        only: touch no others than these.
        """
        from dlmon.brokers import open_broker
        from dlmon.console.rejects.summary import progress_bar
        from dlmon.rejects.actions import Run
        from dlmon.rejects.export import read_rejects
        from dlmon.rejects.queue import FiledRejects, QueuedRejects
        from dlmon.rejects.receipt import ReceiptFile, ignore_entry

        on_entry: OnEntry = ignore_entry
        with ExitStack() as stack:
            stop = stack.enter_context(stop_on_signals())
            broker = stack.enter_context(open_broker(self.settings, stop))
            # A dry run that is only the preview of the real one leaves no trace.
            if options.receipt is not None and (options.dry_run or not dry_run):
                file = stack.enter_context(ReceiptFile(options.receipt, dry_run=dry_run))
                on_entry = file.append
            on_progress = stack.enter_context(progress_bar(f"{self.verb} rejects"))
            run = Run(stop, options.limit, dry_run, on_progress, on_entry)
            if self.source is not None:
                filed = FiledRejects(read_rejects(self.source, stop), stop)
                return self.act(broker, filed, run), None
            queued = stack.enter_context(QueuedRejects(broker, self.validator, stop, only=only))
            return self.act(broker, queued, run), queued.seen

    def _finish(self, receipt: Receipt, *, dry_run: bool) -> None:
        from dlmon.console.rejects.summary import show_receipt

        show_receipt(receipt, self.done, dry_run=dry_run)
        if receipt.error is not None:
            raise receipt.error
        if receipt.interrupted:
            raise typer.Exit(ExitCode.INTERRUPTED)


def _can_ask() -> bool:
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)
