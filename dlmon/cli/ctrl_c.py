"""Ctrl-C where there is nothing to finish: the command ends."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn


class CtrlC(BaseException):
    """Ctrl-C outside of `stop_on_signals`. Not a KeyboardInterrupt: typer would exit with 1."""


class _Handler:
    came = False

    def __call__(self, _number: int, _frame: FrameType | None) -> NoReturn:
        self.came = True
        raise CtrlC


_handler = _Handler()


def raise_on_ctrl_c() -> None:
    """Make Ctrl-C raise CtrlC in the main thread.

    Where Python ignores exceptions, in destructors and callbacks, it ignores this one too; each
    import runs such a callback. Hence `check_ctrl_c`.
    """
    sys.unraisablehook = _show_unraisable
    signal.signal(signal.SIGINT, _handler)


def check_ctrl_c() -> None:
    """Raises: CtrlC if Ctrl-C came, since what its handler raised was ignored."""
    if _handler.came:
        raise CtrlC


def _show_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    if unraisable.exc_type is not CtrlC:
        sys.__unraisablehook__(unraisable)
