"""Times without an offset, and events without an id."""

from __future__ import annotations

import uuid
from pathlib import Path

import orjson
import pytest

from dlmon.commands.completing import NAMESPACE, complete, id_of_body
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from tests.support.configuration import refusal
from tests.support.events import make_body

LOCAL = "2024-11-20T10:00:00.123456"


def test_a_time_without_an_offset_is_invalid_unless_one_is_assumed() -> None:
    body = make_body(timestamp=LOCAL)
    (violation,) = Validator(load_schema()).validate(body).violations
    assert (violation.code, violation.path) == ("format", "/timestamp")
    assuming = Validator(load_schema(assume_offset="+01:00"))
    assert not assuming.validate(body).violations
    assert not any(verdict.violations for verdict in assuming.validate_all([body] * 40))


@pytest.mark.parametrize("time", ["yesterday", "2024-13-20T10:00:00", "2024-11-20", f"{LOCAL}+1"])
def test_what_is_no_time_with_an_offset_either_stays_invalid(time: str) -> None:
    assuming = Validator(load_schema(assume_offset="+01:00"))
    assert assuming.validate(make_body(timestamp=time)).violations


@pytest.mark.parametrize(
    ("time", "stored"),
    [(LOCAL, f"{LOCAL}-05:30"), (f"{LOCAL}Z", f"{LOCAL}Z"), (f"{LOCAL}+02:00", f"{LOCAL}+02:00")],
)
def test_a_time_is_stored_as_if_the_offset_were_there(time: str, stored: str) -> None:
    event = {"event_id": "one", "timestamp": time}
    complete(event, b"", "-05:30")
    assert event == {"event_id": "one", "timestamp": stored}


def test_an_event_without_an_id_gets_that_of_its_bytes() -> None:
    body = orjson.dumps({"timestamp": LOCAL})
    event = orjson.loads(body)
    complete(event, body, None)
    assert event == {"timestamp": LOCAL, "event_id": id_of_body(body)}
    # The standard library makes the same of text.
    assert id_of_body(body) == str(uuid.uuid5(NAMESPACE, body.decode()))
    assert id_of_body(body) != id_of_body(body + b" ")


@pytest.mark.parametrize("offset", ["+1", "UTC", "+24:00", "+00:60", ""])
def test_what_is_no_offset_is_refused(
    offset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "assume_offset" in refusal(f'assume_offset = "{offset}"')
