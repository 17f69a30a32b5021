"""What the page is told of the store and the broker."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from dlmon.config.settings import Settings
from dlmon.messages import Queue
from dlmon.web.stream import Hub
from tests.support.dlmon import Dlmon, running
from tests.support.events import make_body
from tests.support.rejections import park, slow
from tests.support.web import PATIENCE, Served, wait_until
from tests.web.conftest import Serving

TIMES = {"since": "2026-03-01", "until": "2026-03-02"}


def test_what_is_stored_is_counted_and_reported_as_the_command_does(
    page: Served, dlmon: Dlmon
) -> None:
    page.store(*(make_body() for _ in range(40)))
    page.wait_for("/api/state", lambda state: state["stored"]["count"] == 40)
    answer = page.json("/api/report", params={**TIMES, "by": "country", "threshold": "25"})
    command = answer.pop("command").split()
    assert command[0] == "dlmon"
    printed = dlmon(*command[1:])
    assert answer == json.loads(printed.stdout)
    assert answer["rows"][0]["key"] == "IE"
    rows = csv.DictReader(io.StringIO(page.get("/api/report.csv", params=TIMES).text))
    assert [row["count"] for row in rows] == ["40"]


def test_nothing_is_counted_before_it_is_in_answers(page: Served) -> None:
    """Else a browser asks too early, and not again."""
    page.store(*(make_body() for _ in range(40_000)))
    stored = 0
    while stored < 40_000:
        stored = page.json("/api/state")["stored"]["count"] or 0
        assert page.json("/api/report", params=TIMES)["total"]["count"] >= stored


def test_anomalies_are_those_of_the_command(page: Served, dlmon: Dlmon) -> None:
    page.store(make_body())
    page.wait_for("/api/state", lambda state: state["stored"]["count"] == 1)
    answer = page.json("/api/anomalies", params=TIMES)
    command = answer.pop("command").split()
    assert answer == json.loads(dlmon(*command[1:]).stdout)


@pytest.mark.parametrize("files", ["events.summaries.db", "events.summaries.db*"])
def test_summaries_that_are_deleted_while_it_serves_come_again(
    page: Served, tmp_path: Path, files: str
) -> None:
    page.store(*(make_body() for _ in range(40)))
    page.wait_for("/api/state", lambda state: state["stored"]["count"] == 40)
    for file in tmp_path.glob(files):
        file.unlink()
    page.wait_for("/api/state", lambda _state: (tmp_path / "events.summaries.db").exists())
    page.store(make_body())
    page.wait_for("/api/state", lambda state: state["stored"]["count"] == 41)
    assert page.json("/api/report", params=TIMES)["total"]["count"] == 41


def test_a_question_that_makes_no_sense_is_answered_in_words(page: Served) -> None:
    for query in (
        "since=yesterday",
        "by=colour",
        "where=country=XX",
        "threshold=nan",
        "since=2999-01-01",
    ):
        answer = page.get(f"/api/report?{query}")
        assert answer.status_code == 400
        assert answer.json()["error"]


def test_the_stream_has_the_newest_state_and_the_next(page: Served) -> None:
    with page.broker() as broker, page.browser.stream("GET", "/api/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        states = (json.loads(line[6:]) for line in lines if line.startswith("data: "))
        assert next(state for state in states if state["depth"][Queue.REJECTS] == 0)
        park(broker, [slow(), slow()])
        assert next(state for state in states if state["depth"][Queue.REJECTS] == 2)


def test_news_of_rejects_come_without_a_look(page: Served) -> None:
    page.wait_for("/api/state", lambda state: state["broker"]["ok"])
    with page.broker() as broker:
        park(broker, [slow(), slow()])
    news = page.wait_for("/api/state", lambda state: state["news"]["rejects"])["news"]
    assert news["groups"] == [{"code": "type", "path": "/download_speed", "count": 2}]
    assert page.json("/api/rejects") is None


def test_a_store_that_is_not_there_is_named_with_its_age_and_found_once_it_is(page: Served) -> None:
    state = page.wait_for("/api/state", lambda state: state["store"]["ok"] is False)
    assert "There is no store" in state["store"]["reason"]
    page.store(make_body())
    found = page.wait_for("/api/state", lambda state: state["store"]["ok"])
    assert found["store"]["since"] > state["store"]["since"]
    assert found["store"]["reason"] is None


def test_a_broker_that_is_not_there_is_named_with_its_age_and_found_once_it_is(
    serving: Serving, tmp_path: Path
) -> None:
    blocked = tmp_path / "folder"
    blocked.write_text("no folder")
    settings = replace(
        Settings.for_url(f"sqlite:///{blocked}/broker.db"),
        store=Settings.for_url("local", store=f"sqlite:///{tmp_path}/events.db").store,
    )
    page = serving(settings=settings)
    state = page.wait_for("/api/state", lambda state: state["broker"]["ok"] is False)
    assert state["depth"] == {"arrivals": None, "rejects": None}
    blocked.unlink()
    page.wait_for("/api/state", lambda state: state["broker"]["ok"])


def test_a_browser_beyond_the_limit_is_asked_to_come_later() -> None:
    hub = Hub(max_clients=1)
    assert hub.open().status_code == 200
    refused = hub.open()
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]


def test_sigterm_ends_the_command_at_once_with_a_stream_open(dlmon: Dlmon) -> None:
    with running(dlmon.start("serve", "--port", "0")) as process:
        assert process.stderr is not None
        address = process.stderr.readline().removeprefix("Open ").strip()
        with httpx.Client(base_url=address.partition("/?")[0], timeout=PATIENCE) as browser:
            assert browser.get(address).status_code == 303
            with browser.stream("GET", "/api/stream") as answer:
                assert next(answer.iter_lines())
                process.terminate()
                assert process.wait(timeout=PATIENCE) == 0
        assert process.stderr.read() == ""


def test_the_demo_serves_its_events_in_one_command(dlmon: Dlmon) -> None:
    with running(dlmon.start("demo", "--seconds", "0.5", "--invalid", "0", "--serve")) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        address = next(line for line in lines if line.startswith("Open "))[5:].strip()
        with httpx.Client(base_url=address.partition("/?")[0], timeout=PATIENCE) as browser:
            assert browser.get(address).status_code == 303
            state = wait_until(
                lambda: browser.get("/api/state").json(), lambda found: found["stored"]["count"]
            )
            assert state["allow_actions"]
        process.terminate()
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
