"""Looking at rejects, and mending them, from the page."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from dlmon.messages import Queue
from dlmon.rejects.rejection import Rejection
from tests.support.dlmon import Dlmon
from tests.support.events import make_body
from tests.support.rejections import contents, ids, park, rejection, slow
from tests.support.web import Served

PATCH = ".download_speed |= tonumber"


def look(page: Served, **filters: Any) -> Any:
    answer = page.post("/api/rejects/look", {"filters": filters})
    assert answer.status_code == 200, answer.text
    return answer.json()


def parked(page: Served, *rejections: Rejection) -> None:
    with page.broker() as broker:
        park(broker, rejections)


def group_of(page: Served) -> str:
    return str(look(page)["groups"][0]["id"])


def dry_run(page: Served, group: str, patch: str) -> Any:
    answer = page.post("/api/patch/dry-run", {"group": group, "patch": patch})
    assert answer.status_code == 200, answer.text
    return answer.json()


def begin(page: Served, kind: str, group: str, found: Any, **how: Any) -> str:
    body = {"digest": found["digest"], "group": group, **how}
    answer = page.post(f"/api/actions/{kind}", body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["job"])


def state_of(page: Served, job: str, *states: str) -> Any:
    return page.wait_for(f"/api/jobs/{job}", lambda found: found["state"] in states)


def test_nothing_is_looked_at_until_somebody_asks(page: Served) -> None:
    parked(page, slow())
    assert page.json("/api/rejects") is None
    found = look(page)
    assert page.json("/api/rejects") == found
    assert (found["total"], found["more"]) == (1, False)


def test_groups_are_those_of_the_command(page: Served, dlmon: Dlmon) -> None:
    parked(page, slow(), slow(), rejection(b"{", at=None))
    found = look(page)
    assert [(one["code"], one["path"], one["count"]) for one in found["groups"]] == [
        ("type", "/download_speed", 2),
        ("not-json", "", 1),
    ]
    words = found["command"].split()
    assert "/download_speed" in dlmon(*words[1:]).stdout


def test_a_look_with_filters_finds_what_they_select(page: Served) -> None:
    parked(page, slow(), rejection(b"{"))
    found = look(page, code=["not-json"], contains="{")
    assert [one["code"] for one in found["groups"]] == ["not-json"]
    assert "--code not-json" in found["command"]


def test_a_reject_is_shown_with_its_wrong_places(page: Served) -> None:
    body = make_body(download_speed="é25", file_size=-1)
    parked(page, rejection(body, headers={"source": "edge-7"}))
    detail = page.json(f"/api/rejects/groups/{group_of(page)}")
    message = page.json(f"/api/rejects/messages/{detail['rejections'][0]['key']}")
    marked = {
        one["pointer"]: message["body"][one["start"] : one["end"]] for one in message["spans"]
    }
    assert marked == {"/download_speed": '"é25"', "/file_size": "-1"}
    assert {one["code"] for one in message["violations"]} == {"type", "minimum"}
    assert message["headers"] == {"source": "edge-7"}
    assert message["origin"] == "dlmon download.completed"


def test_a_body_that_is_no_json_is_marked_where_it_ends_to_be(page: Served) -> None:
    parked(page, rejection(b'{"a": \xff}'))
    detail = page.json(f"/api/rejects/groups/{group_of(page)}")
    message = page.json(f"/api/rejects/messages/{detail['rejections'][0]['key']}")
    (span,) = message["spans"]
    assert message["body"][span["start"]] == "�"


def test_a_patch_is_tried_on_one_reject(page: Served) -> None:
    parked(page, slow())
    group = group_of(page)
    good = page.post("/api/patch/try", {"group": group, "patch": PATCH}).json()
    assert good["valid"]
    assert json.loads(good["after"])["download_speed"] == 25.5
    bad = page.post("/api/patch/try", {"group": group, "patch": ".file_size = -1"}).json()
    assert not bad["valid"]
    assert {one["code"] for one in bad["violations"]} == {"type", "minimum"}


@pytest.mark.parametrize("patch", ["env", ".download_speed |=", 'import "a" as $a; .', "input"])
def test_a_patch_that_is_refused_says_why(page: Served, patch: str) -> None:
    parked(page, slow())
    answer = page.post("/api/patch/try", {"group": group_of(page), "patch": patch})
    assert answer.status_code == 400
    assert "patch" in answer.json()["error"]
    assert "Traceback" not in answer.text


def test_a_dry_run_changes_nothing_and_counts_what_would_pass(page: Served) -> None:
    parked(page, slow(), slow(), rejection(make_body(download_speed="fast")))
    with page.broker() as broker:
        before = ids(broker, Queue.REJECTS)
        found = dry_run(page, group_of(page), PATCH)
        counts = ("total", "valid", "invalid", "unchanged")
        assert [found[name] for name in counts] == [3, 2, 1, 1]
        assert sorted(one["valid"] for one in found["diffs"]) == [False, True, True]
        assert ids(broker, Queue.REJECTS) == before


def test_a_replay_goes_on_step_by_step_and_names_the_user(acting: Served) -> None:
    parked(acting, *(slow() for _ in range(15)))
    group = group_of(acting)
    found = dry_run(acting, group, PATCH)
    job = begin(acting, "replay", group, found, patch=PATCH, steps=[1, 10, None])
    with acting.broker() as broker:
        for arrived in (1, 11):
            assert state_of(acting, job, "waiting")["done"] == arrived
            assert len(ids(broker, Queue.ARRIVALS)) == arrived
            assert acting.post(f"/api/jobs/{job}/continue").status_code == 200
        ended = state_of(acting, job, "done")
        assert ended["done"] == 15
        assert ended["receipt"]["user"]
        assert ended["receipt"]["patch"] == PATCH
        assert ids(broker, Queue.REJECTS) == []
        bodies = [json.loads(one.body) for one in contents(broker, Queue.ARRIVALS)]
        assert {body["download_speed"] for body in bodies} == {25.5}


def test_a_replay_touches_nothing_that_came_after_the_dry_run(acting: Served) -> None:
    parked(acting, slow())
    group = group_of(acting)
    found = dry_run(acting, group, PATCH)
    later = slow()
    parked(acting, later)
    job = begin(acting, "replay", group, found, patch=PATCH, rate=100)
    assert state_of(acting, job, "done")["done"] == 1
    with acting.broker() as broker:
        assert ids(broker, Queue.REJECTS) == [later.message_id]


def test_a_replay_of_what_the_dry_run_did_not_show_is_refused_in_words(acting: Served) -> None:
    parked(acting, slow(), rejection(b"{"), rejection(b"{"))
    other, group = (one["id"] for one in look(acting)["groups"])
    found = dry_run(acting, group, PATCH)
    asked = {"digest": found["digest"], "group": group, "patch": PATCH, "steps": [None]}
    for change in ({"digest": "sha256:0"}, {"group": other}, {"patch": "."}):
        answer = acting.post("/api/actions/replay", asked | change)
        assert answer.status_code == 409
        assert "not what the dry run showed" in answer.json()["error"]
    with acting.broker() as broker:
        assert ids(broker, Queue.ARRIVALS) == []


def test_a_job_that_is_cancelled_leaves_the_others_in_rejects(acting: Served) -> None:
    parked(acting, slow(), slow())
    group = group_of(acting)
    found = dry_run(acting, group, PATCH)
    job = begin(acting, "replay", group, found, patch=PATCH, steps=[1, None])
    state_of(acting, job, "waiting")
    acting.post(f"/api/jobs/{job}/cancel")
    assert state_of(acting, job, "cancelled")["done"] == 1
    assert acting.post(f"/api/jobs/{job}/continue").status_code == 409
    with acting.broker() as broker:
        assert len(ids(broker, Queue.REJECTS)) == len(ids(broker, Queue.ARRIVALS)) == 1


def test_a_discard_writes_a_file_first(acting: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(acting.settings.store.path.parent / "data"))
    rejects = [slow(), slow()]
    parked(acting, *rejects)
    group = group_of(acting)
    job = begin(acting, "discard", group, dry_run(acting, group, ""))
    receipt = state_of(acting, job, "done")["receipt"]
    lines = gzip.decompress(acting.get(receipt["export"]).content).splitlines()
    exported = sorted(json.loads(line)["message_id"] for line in lines)
    assert exported == sorted(one.message_id for one in rejects)
    with acting.broker() as broker:
        assert ids(broker, Queue.REJECTS) == []
    assert acting.get("/api/exports/..%2F..%2Fetc%2Fpasswd").status_code == 404


def test_what_is_under_way_is_not_mixed_with_another_look(acting: Served) -> None:
    parked(acting, *(slow() for _ in range(30)))
    group = group_of(acting)
    found = dry_run(acting, group, PATCH)
    job = begin(acting, "replay", group, found, patch=PATCH, rate=2)
    acting.wait_for(f"/api/jobs/{job}", lambda state: state["done"] > 0)
    answer = acting.post("/api/rejects/look")
    assert answer.status_code == 409
    acting.post(f"/api/jobs/{job}/cancel")
    done = state_of(acting, job, "cancelled")["done"]
    with acting.broker() as broker:
        assert len(ids(broker, Queue.ARRIVALS)) == done
        assert len(ids(broker, Queue.REJECTS)) == 30 - done
