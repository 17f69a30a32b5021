"""Whatever another program has put into rejects, each way of looking at it works."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmon.brokers.base import Depth
from dlmon.commands.inspect_rejects import Look
from dlmon.console.rejects.views import (
    DetailView,
    GroupView,
    JsonView,
    ListView,
    RevalidationView,
    View,
)
from dlmon.messages import DeadLetter, Delivery
from dlmon.rejects.export import from_record, to_line
from dlmon.rejects.rejection import Rejection, from_delivery, to_message, to_replay
from dlmon.runtime.text import escape_json
from tests.support.events import make_body
from tests.support.rejections import VALIDATOR, delivery

DEEP = b"[" * 1000 + b"]" * 1000
ODD_TEXT = st.text(max_size=30) | st.sampled_from(
    [
        "",
        "\x1b[31m",
        "\u202e",
        "[bold]",
        "\x00",
        "\r\n",
        "x" * 100_000,
        "{",
        "null",
        "-1",
        "🧨" * 50,
    ]
)
ODD_VIOLATIONS = st.sampled_from(
    [
        "",
        "null",
        "5",
        '"text"',
        "{}",
        "[]",
        "[[]]",
        '[{"code": 1, "path": 2, "reason": 3}]',
        '[{"code": "a"}]',
        '[{"code": "", "path": "", "reason": ""}]',
        '[{"code": null, "path": null, "reason": null}]',
        '[{"code": "unstorable", "path": "no pointer", "reason": "~2"}]',
        '[{"code": "a", "path": "/\\ud800", "reason": "b"}]',
        DEEP.decode(),
        f'[{{"code": "a", "path": "/b", "reason": {DEEP.decode()}}}]',
        '[{"code": "a", "path": "' + "/x" * 50_000 + '", "reason": "b"}]',
        "[" + ",".join(['{"code": "type", "path": "/extra/5", "reason": "x"}'] * 5000) + "]",
    ]
)
ODD_VALUES = (
    ODD_TEXT
    | st.integers(-(2**63), 2**64)
    | st.booleans()
    | st.none()
    | st.floats()
    | st.binary(max_size=10)
    | st.just(datetime(9999, 12, 31, tzinfo=UTC))
    | st.lists(st.integers(), max_size=3)
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "dlmon-violations": ODD_VIOLATIONS | ODD_VALUES,
        **{
            f"dlmon-{name}": ODD_VALUES
            for name in (
                "code",
                "path",
                "reason",
                "schema",
                "origin",
                "rejected-at",
                "rejected-by",
                "replays",
                "published-at",
                "raw-headers",
            )
        },
        "\x1b[31m": ODD_VALUES,
        "CC": ODD_VALUES,
    },
)
BODIES = st.binary(max_size=100) | st.sampled_from(
    [
        b"",
        b"null",
        b"\xff\xfe",
        DEEP,
        b'{"a": 1, "a": 2}',
        b"\x00" * 5000,
        b"x" * 70_000,
        orjson.dumps({"extra": list(range(9000))}),
        orjson.dumps({"": {"": [""]}}),
        make_body(),
        make_body(download_speed="\x1b[31m[bold]"),
    ]
)
LETTERS = st.none() | st.builds(
    DeadLetter,
    ODD_TEXT,
    ODD_TEXT,
    st.integers(-5, 2**63),
    st.none() | st.sampled_from([-1, 0, 253_402_300_800_000, 2**63]),
)


def hostile_deliveries() -> st.SearchStrategy[Delivery]:
    short = st.none() | ODD_TEXT

    def make(body: bytes, headers: Mapping[str, object], *rest: Any) -> Delivery:
        message_id, content_type, letter, undecodable = rest
        return delivery(
            body,
            message_id,
            headers,
            content_type=content_type,
            dead_letter=letter,
            undecodable_headers=undecodable,
        )

    return st.builds(
        make, BODIES, HEADERS, short, short, LETTERS, st.none() | st.binary(max_size=9)
    )


def views() -> Iterator[View]:
    yield GroupView("dlmon.rejects", None)
    yield RevalidationView("dlmon.rejects", VALIDATOR, None)
    yield ListView(None, oldest=False)
    yield ListView(1, oldest=True)
    yield DetailView(VALIDATOR)


def look_at(rejections: list[Rejection], *more: View) -> str:
    """Everything that is printed by all views, but for JSON, which is exact, and by `more`."""
    shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    count = len(rejections)
    depth = Depth(count, 0)
    look = Look(depth, count, count, most_deliveries=0, interrupted=False, ran_out=False)
    with redirect_stdout(shown):
        for view in (*views(), *more):
            view.visit(rejections)
            view.finish(look)
        shown.flush()
    printed: bytes = shown.buffer.getvalue()
    return printed.decode()


@given(st.lists(hostile_deliveries(), min_size=1, max_size=3))
@settings(max_examples=50)
@pytest.mark.slow
def test_every_view_shows_every_reject(deliveries: list[Delivery]) -> None:
    rejections = [from_delivery(one, VALIDATOR) for one in deliveries]
    JsonView().visit(rejections)
    printed = look_at(rejections)
    assert not {"\x1b", "\u202e", "\x00", "\r"} & set(printed)
    # What a few rejects say stays readable, whatever they say.
    assert max(map(len, printed.splitlines())) < 200_000


@given(hostile_deliveries())
@settings(max_examples=50)
def test_every_reject_can_be_exported_parked_and_replayed(given_delivery: Delivery) -> None:
    rejection = from_delivery(given_delivery, VALIDATOR)
    line = to_line(rejection)
    assert to_line(from_record(orjson.loads(line))) == line
    for message in (to_message(rejection), to_replay(rejection)):
        assert message.body == given_delivery.body
        again = from_delivery(
            delivery(message.body, message.message_id, message.headers), VALIDATOR
        )
        assert again.message_id == rejection.message_id


@pytest.mark.parametrize("width", [0, 1, 2, 3])
def test_a_terminal_may_be_as_narrow_as_it_likes(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr("rich.console.Console.width", width)
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    text = from_delivery(delivery(b'{"a": "' + "ü".encode() * 100 + b'"', "id"), VALIDATOR)
    printed = look_at([text, replace(text, body=make_body(file_size=-1))])
    assert len(printed.splitlines()) < 300


@given(hostile_deliveries())
@settings(max_examples=50)
def test_json_on_a_terminal_is_the_same_and_cannot_act_on_it(given_delivery: Delivery) -> None:
    line = to_line(from_delivery(given_delivery, VALIDATOR)).decode()
    shown = escape_json(line)
    assert orjson.loads(shown) == orjson.loads(line)
    assert shown.endswith("\n")
    assert shown[:-1].isprintable()
