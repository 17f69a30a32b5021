"""Rejects as the page shows them: what the last look found, in groups, with the newest of each.

Looking holds the whole queue for a moment and hides it from others. So the page looks when somebody
asks for it, and shows what was found then, with its age.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from starlette.requests import Request

from dlmon.brokers import open_broker
from dlmon.commands.inspect_rejects import Look, look
from dlmon.rejects.filters import RejectFilter
from dlmon.rejects.groups import OTHER, Group, Groups
from dlmon.rejects.queue import key_of
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.timestamps import to_rfc3339
from dlmon.web.answers import Problem
from dlmon.web.filters import filter_of, words_of
from dlmon.web.messages import message_record, preview
from dlmon.web.site import Site
from dlmon.web.watching import now

MAX_LISTED = 50
"""Rejects of a group that can be shown one by one, the newest."""

_MAX_GROUPS_LISTED = 100
_MAX_BODY_BYTES = 16 * 1024 * 1024  # of all listed rejects together


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found. words: its filters, as options. groups: all, by their id. listed: their
    newest rejects. keys: these rejects by their key, in hex."""

    at: int
    reject_filter: RejectFilter
    words: tuple[str, ...]
    look: Look
    groups: dict[str, Group]
    listed: dict[str, list[Rejection]]
    keys: dict[str, Rejection]


class RejectsView:
    """Looks, and what the last one found."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._found: Found | None = None

    def show(self, _request: Request, _body: Any) -> dict[str, Any] | None:
        """What the last look found."""
        return None if self._found is None else self._record(self._found)

    def look(self, _request: Request, body: Any) -> dict[str, Any]:
        """Look now."""
        reject_filter, words = filter_of(body.get("filters") or {}), words_of(body.get("filters"))
        groups, newest = Groups(), _Newest()

        def visit(rejections: Sequence[Rejection]) -> None:
            for rejection in rejections:
                groups.add(rejection)
                newest.add(rejection)

        with self._site.turns.take(), open_broker(self._site.settings, self._site.stop) as broker:
            seen = look(
                broker,
                self._site.validator,
                reject_filter,
                visit,
                stop=self._site.stop,
                on_progress=lambda _looked, _total: None,
            )
        by_id = {group_id(group.code, group.path): group for group in groups.largest_first()}
        listed = newest.in_order()
        keys = {key_of(one).hex(): one for ones in listed.values() for one in ones}
        self._found = Found(now(), reject_filter, words, seen, by_id, listed, keys)
        return self._record(self._found)

    def group(self, request: Request, _body: Any) -> dict[str, Any]:
        """One group, and its newest rejects."""
        found, group = self.find_group(request.path_params["group"])
        return {
            "group": _group_record(group),
            "rejections": [
                {
                    "key": key_of(one).hex(),
                    "event_id": one.message_id,
                    "rejected_at": _time(one.rejected_at),
                    "summary": one.reason,
                    "preview": preview(one.body),
                }
                for one in found.listed.get(group_id(group.code, group.path), ())
            ],
            "command": self.command("inspect-rejects", found, group, "--list"),
        }

    def message(self, request: Request, _body: Any) -> dict[str, Any]:
        """One reject, with its wrong places."""
        found = self._current()
        rejection = found.keys.get(request.path_params["key"])
        if rejection is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, "The last look did not list this reject.", "Look again."
            )
        command = [*self._words("inspect-rejects"), "--show", rejection.message_id]
        return message_record(rejection, self._site.validator) | {"command": shlex.join(command)}

    def find_group(self, identity: str) -> tuple[Found, Group]:
        """A group of the last look.

        Raises: Problem.
        """
        found = self._current()
        group = found.groups.get(identity)
        if group is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, "The last look did not find this group.", "Look again."
            )
        return found, group

    def command(self, name: str, found: Found, group: Group | None, *words: str) -> str:
        """The command that does the same to a group, or to all that was looked at."""
        chosen = () if group is None else ("--code", group.code, "--path", group.path)
        return shlex.join([*self._words(name), *found.words, *chosen, *words])

    def _words(self, name: str) -> list[str]:
        words = ["dlmon", name, "--broker", str(self._site.settings.broker)]
        return [*words, *self._site.settings.topology_flags]

    def _current(self) -> Found:
        if self._found is None:
            raise Problem(HTTPStatus.NOT_FOUND, "Nobody has looked at the rejects yet.", "Look.")
        return self._found

    def _record(self, found: Found) -> dict[str, Any]:
        return {
            "looked_at": to_rfc3339(found.at),
            "total": found.look.selected,
            "more": found.look.partial or found.look.interrupted,
            "groups": [_group_record(group) for group in found.groups.values()],
            "command": self.command("inspect-rejects", found, None),
        }


def group_id(code: str, path: str) -> str:
    """Identifies a group in addresses, also after the next look."""
    return hashlib.blake2b(repr((code, path)).encode(), digest_size=8).hexdigest()


def filter_of_group(found: Found, group: Group) -> RejectFilter:
    """Selects what a group counts.

    Raises: Problem for the group of all that has no group.
    """
    if group.code == OTHER:
        raise Problem(
            HTTPStatus.CONFLICT,
            "These rejects are of too many kinds to be one group.",
            "Look with a filter that selects fewer.",
        )
    return replace(
        found.reject_filter, codes=frozenset({group.code}), paths=frozenset({group.path})
    )


class _Newest:
    """The newest rejects of each group, with bodies as many as there is room for."""

    def __init__(self) -> None:
        self._heaps: dict[str, list[tuple[int, int, Rejection]]] = {}
        self._number = itertools.count()
        self._bytes = 0

    def add(self, rejection: Rejection) -> None:
        name = group_id(rejection.code, rejection.path)
        if name not in self._heaps and len(self._heaps) >= _MAX_GROUPS_LISTED:
            return
        heap = self._heaps.setdefault(name, [])
        at = -1 if rejection.rejected_at is None else rejection.rejected_at
        full = len(heap) >= MAX_LISTED
        if full and at <= heap[0][0]:
            return
        more = len(rejection.body) - (len(heap[0][2].body) if full else 0)
        if self._bytes + more > _MAX_BODY_BYTES:
            return
        self._bytes += more
        push: Callable[..., Any] = heapq.heapreplace if full else heapq.heappush
        push(heap, (at, next(self._number), rejection))

    def in_order(self) -> dict[str, list[Rejection]]:
        """By group, the newest first."""
        return {
            name: [rejection for _, _, rejection in sorted(heap, reverse=True)]
            for name, heap in self._heaps.items()
        }


def _group_record(group: Group) -> dict[str, Any]:
    return {
        "id": group_id(group.code, group.path),
        "code": group.code,
        "path": group.path,
        "reason": group.sample_reason,
        "count": group.count,
        "first": _time(group.first_seen),
        "last": _time(group.last_seen),
        "example": group.sample_id,
        "schemas": group.schemas,
        "origins": group.origins,
    }


def _time(at: int | None) -> str | None:
    return None if at is None else to_rfc3339(at)
