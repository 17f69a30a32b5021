"""One correction for many events, written in jq."""

from __future__ import annotations

from typing import Any

import orjson

from dlmon.errors import UsageError


class PatchFailed(Exception):
    """The correction cannot be applied to this event."""


class Patch:
    """A jq expression that turns an event into the event it should have been.

    jq and not JSON Patch (RFC 6902), because a correction computes from what is there:
    `.download_speed |= tonumber`, `.file_size *= 1024`; JSON Patch can only put the same value
    everywhere. JMESPath calculates nothing, and rebuilds an object to change a member of it.
    """

    def __init__(self, expression: str) -> None:
        """Raises: UsageError when `expression` is no jq."""
        import jq

        try:
            self._program = jq.compile(expression)
        except ValueError as error:
            reason = str(error).partition("\n")[0].removeprefix("jq: error: ").rstrip(":")
            raise UsageError(f"The patch {expression!r} is no jq expression: {reason}.") from error
        self._identity = jq.compile(".")

    def apply(self, value: Any) -> bytes:
        """The corrected event as JSON.

        value: the event as `dlmon.validation.validator` parsed it. Raises: PatchFailed.
        """
        text = orjson.dumps(value).decode()
        # jq calculates in doubles: an identifier above 2^53 would come out as another one.
        if self._identity.input_text(text).all() != [value]:
            raise PatchFailed("it has a number that jq cannot keep exactly")
        try:
            results = self._program.input_text(text).all()
            if len(results) == 1:
                return orjson.dumps(results[0])
        except (ValueError, orjson.JSONEncodeError) as error:
            raise PatchFailed(str(error)) from error
        raise PatchFailed(f"the patch gives {len(results)} results instead of one")
