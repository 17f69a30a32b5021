"""The names of exchange, queues and routing keys, from wherever they are configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlmon.brokers.rabbitmq.policies import exempting
from dlmon.config.names import Names
from dlmon.messages import Queue
from tests.support.configuration import load, refusal


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_names_come_from_the_namespace() -> None:
    names = load(namespace="tour").names
    assert names.exchange == "tour"
    assert names.queues() == [(Queue.ARRIVALS, "tour.arrivals"), (Queue.REJECTS, "tour.rejects")]
    assert [names.routing_key(queue) for queue in Queue] == [
        "download.completed",
        "download.rejected",
    ]


@pytest.mark.parametrize("source", ["flags", "variables", "file"])
def test_every_name_can_be_given(source: str) -> None:
    given = {
        "exchange": "downloads",
        "arrivals": "in-a, in-b",
        "rejects": "bad",
        "arrivals_key": "done",
        "rejects_key": "failed",
        "declare": "false",
    }
    if source == "flags":
        settings = load("", {}, **given)
    elif source == "variables":
        settings = load(environ={f"DLMON_{name.upper()}": value for name, value in given.items()})
    else:
        settings = load("\n".join(f'{name} = "{value}"' for name, value in given.items()))
    names = settings.names
    assert names.exchange == "downloads"
    assert [name for _, name in names.queues()] == ["in-a", "in-b", "bad"]
    assert [names.routing_key(queue) for queue in Queue] == ["done", "failed"]


@pytest.mark.parametrize(
    ("toml", "environ", "flags"),
    [
        ("", {}, {"exchange": ""}),
        ("", {}, {"exchange": "amq.default"}),
        ("", {"DLMON_EXCHANGE": "amq.default"}, {}),
        ('exchange = ""', {}, {}),
    ],
)
def test_on_the_default_exchange_the_routing_key_is_the_queue(
    toml: str, environ: dict[str, str], flags: dict[str, str]
) -> None:
    names = load(toml, environ, arrivals="arrivals", **flags).names
    assert names.exchange == ""
    assert [names.routing_key(queue) for queue in Queue] == ["arrivals", "dlmon.rejects"]


def test_an_empty_variable_is_no_exchange() -> None:
    assert load(environ={"DLMON_EXCHANGE": ""}).names.exchange == "dlmon"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"arrivals": "one", "rejects": "one"}, "for arrivals and for rejects"),
        ({"rejects_key": "download.completed"}, "choose another --rejects-key"),
        ({"exchange": "", "arrivals_key": "done"}, "leave out --arrivals-key"),
        ({"arrivals": "one,two"}, "each would get every event: bind them yourself"),
        ({"arrivals": "one,,two"}, "--arrivals: expected different names"),
        ({"arrivals": "one,one"}, "--arrivals: expected different names"),
        ({"rejects": "x" * 256}, "--rejects: expected at most 255 bytes"),
        ({"broker": "local", "exchange": "downloads"}, "The local broker has two queues"),
        ({"broker": "local", "arrivals": "one,two"}, "The local broker has two queues"),
    ],
)
def test_names_that_cannot_work_together_are_refused(flags: dict[str, str], words: str) -> None:
    assert words in refusal("", {}, **flags)


def test_the_flags_of_names_give_the_same_names() -> None:
    names = Names("tour", "", ("one", "two"), "bad")
    assert names.flags() == [
        *("--namespace", "tour"),
        *("--exchange", ""),
        *("--arrivals", "one,two"),
        *("--rejects", "bad"),
    ]


def test_a_policy_exempts_queues_by_their_names() -> None:
    assert r"'^dlmon\.(arrivals|rejects)$'" in exempting(Names())
    assert r"'^(one|two|dlmon\.rejects)$'" in exempting(Names(given_arrivals=("one", "two")))
