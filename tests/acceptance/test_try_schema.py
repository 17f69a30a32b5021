"""Another schema is tried on what was collected, and nothing changes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from dlmon.commands.try_schema import Schemas, try_on_store
from dlmon.config.settings import load_settings
from dlmon.errors import Interrupted
from dlmon.runtime.stop import Stop
from dlmon.stores.sqlite_reader import SqliteReader
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from tests.support.dlmon import Dlmon
from tests.support.events import make_event

SLOW, FAST = 5, 500
BUNDLED = Path(__file__).parents[2] / "schemas" / "download_event.schema.json"


def collect(folder: Path) -> Dlmon:
    """A store of 3 slow and 2 fast downloads of this year, and one of the last century; rejects
    of 4 with a size in words, and of 1 without any."""
    settings = load_settings({"broker": f"sqlite:///{folder}/broker.db"}, {})
    dlmon = Dlmon(settings, folder, DLMON_STORE="sqlite:///events.db")
    events = [
        *(make_event(download_speed=speed) for speed in (SLOW, FAST, SLOW, FAST, SLOW)),
        make_event(timestamp="1999-12-31T23:59:59Z", download_speed=FAST),
        *(make_event(file_size="8 MB") for _ in range(4)),
        {**make_event(), "file_size": None},
    ]
    (folder / "events.ndjson").write_bytes(b"\n".join(map(orjson.dumps, events)))
    dlmon.in_this_process("produce", "--from", "events.ndjson", "--rate", "0")
    dlmon.in_this_process("consume", "--until-empty")
    return dlmon


@pytest.fixture(scope="module")
def dlmon(tmp_path_factory: pytest.TempPathFactory) -> Dlmon:
    return collect(tmp_path_factory.mktemp("try-schema"))


def schema(dlmon: Dlmon, name: str, **changes: dict[str, Any]) -> str:
    """A file with the bundled schema, its properties changed."""
    document = orjson.loads(BUNDLED.read_bytes())
    document["properties"] |= changes
    (dlmon.folder / name).write_bytes(orjson.dumps(document))
    return name


def tried(dlmon: Dlmon, *arguments: str, exit_code: int = 0) -> dict[str, Any]:
    done = dlmon("try-schema", *arguments, "--from", "2026-01-01T00:00:00Z", "--json")
    assert (done.returncode, done.stderr) == (exit_code, "")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_stored_events_that_it_would_reject_are_grouped_and_exit_with_1(dlmon: Dlmon) -> None:
    stricter = schema(dlmon, "stricter.json", download_speed={"type": "number", "maximum": 100})
    done = dlmon("try-schema", stricter, "--from", "2026-01-01T00:00:00Z")
    assert done.returncode == 1
    first, _, group, reason, *_, last = done.stdout.splitlines()
    assert first == (
        "Of 5 stored events since 2026-01-01T00:00:00.000Z, 2 would newly be rejected."
    )
    assert group.split()[:5] == ["2", "100%", "maximum", "at", "/download_speed"]
    assert reason.strip() == "500 is greater than the maximum of 100"
    assert last == "Of 5 rejects since 2026-01-01T00:00:00.000Z, 0 would newly pass."
    document = tried(dlmon, stricter, exit_code=1)
    [found] = document["store"]["newly_rejected"]
    assert (found["code"], found["path"], found["count"]) == ("maximum", "/download_speed", 2)
    before = dlmon("try-schema", stricter, "--from", "1999-01-01T00:00:00Z", "--json")
    assert json.loads(before.stdout)["store"]["newly_rejected"][0]["count"] == 3


def test_rejects_that_it_would_let_pass_are_grouped_and_stay_where_they_are(dlmon: Dlmon) -> None:
    looser = schema(dlmon, "looser.json", file_size={"type": ["integer", "string"]})
    for _ in range(2):
        document = tried(dlmon, looser)
        assert document["store"] == {"events": 5, "newly_rejected": [], "rejected_by_both": 0}
        assert document["rejects"]["rejects"] == 5
        [passing] = document["rejects"]["newly_passing"]
        assert (passing["code"], passing["path"], passing["count"]) == ("type", "/file_size", 4)


def test_what_both_schemas_say_is_no_news(dlmon: Dlmon) -> None:
    stricter = schema(dlmon, "stricter.json", download_speed={"type": "number", "maximum": 100})
    looser = schema(dlmon, "looser.json", file_size={"type": ["integer", "string"]})
    document = tried(dlmon, stricter, "--schema", stricter)
    assert document["store"] == {"events": 5, "newly_rejected": [], "rejected_by_both": 2}
    document = tried(dlmon, looser, "--schema", looser)
    assert document["rejects"] == {"rejects": 5, "newly_passing": [], "passing_by_both": 4}


@pytest.mark.parametrize(("only", "other"), [("store", "rejects"), ("rejects", "store")])
def test_one_of_both_can_be_left_alone(dlmon: Dlmon, only: str, other: str) -> None:
    document = tried(dlmon, str(BUNDLED), "--only", only)
    assert document[other] is None
    assert document[only] is not None


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["missing.json"], "Cannot read the schema missing.json"),
        ([str(BUNDLED), "--from", "yesterday"], "--from: 'yesterday'"),
        ([str(BUNDLED), "--only", "both"], "--only both: choose one of store, rejects."),
        ([str(BUNDLED), "--store", "ndjson:events"], "Events can be read from SQLite"),
    ],
)
def test_what_cannot_be_tried_says_why(dlmon: Dlmon, arguments: list[str], error: str) -> None:
    done = dlmon("try-schema", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"dlmon: {error}")


def test_nothing_is_written(tmp_path: Path) -> None:
    dlmon = collect(tmp_path)
    stricter = schema(dlmon, "stricter.json", download_speed={"type": "number", "maximum": 100})
    with closing(sqlite3.connect(tmp_path / "events.db")) as connection:
        before = [*connection.iterdump()]
        tried(dlmon, stricter, exit_code=1)
        assert [*connection.iterdump()] == before


def test_a_stop_ends_it_with_what_is_left_to_read(dlmon: Dlmon) -> None:
    validator = Validator(load_schema())
    stop = Stop()
    stop.request()
    with SqliteReader(dlmon.folder / "events.db") as reader, pytest.raises(Interrupted):
        try_on_store(Schemas(validator, validator), reader, 0, stop, lambda _count: None)
