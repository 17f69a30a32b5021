"""A look at all that dlmon needs, over both brokers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from tests.conftest import settings_for
from tests.support.amqp import raw_channel
from tests.support.dlmon import Dlmon
from tests.support.node import free_port

_NOT_IT = "not-this-one"


@pytest.fixture
def dlmon(settings: Settings, tmp_path: Path) -> Dlmon:
    return Dlmon(settings, tmp_path)


def states(text: str) -> dict[str, str]:
    return {step["name"]: step["state"] for step in map(json.loads, text.splitlines())}


def test_all_is_well_where_dlmon_has_run_before(settings: Settings, dlmon: Dlmon) -> None:
    with open_broker(settings):
        pass
    done = dlmon("doctor", "--json")
    assert done.returncode == 0, done.stdout
    # Where the management API does not answer, policies cannot be seen.
    shown = {name: state for name, state in states(done.stdout).items() if "policies" not in name}
    assert set(shown.values()) == {"ok"}
    assert f"queue {settings.namespace}.rejects" in states(done.stdout)
    assert dlmon("doctor").stdout.count("ok  ") >= len(shown)


def test_a_store_and_a_schema_that_cannot_be_used_are_found(dlmon: Dlmon, tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text("[")
    done = dlmon(
        "doctor", "--json", "--schema", "schema.json", "--store", "sqlite:///schema.json/x"
    )
    assert done.returncode == 2
    failed = [name for name, state in states(done.stdout).items() if state == "failed"]
    assert failed == ["schema", "store sqlite:///schema.json/x"]


def test_what_is_not_there_yet_is_no_failure_unless_nothing_may_be_declared(
    rabbitmq_settings: Settings, tmp_path: Path
) -> None:
    dlmon = Dlmon(rabbitmq_settings, tmp_path)
    fresh = dlmon("doctor", "--json")
    assert (fresh.returncode, states(fresh.stdout)[f"exchange {rabbitmq_settings.namespace}"]) == (
        0,
        "unknown",
    )
    assert dlmon("doctor", "--json").stdout == fresh.stdout  # it has created nothing
    strict = dlmon("doctor", "--json", "--no-declare")
    assert strict.returncode == 3
    assert "failed" in states(strict.stdout).values()


def test_a_queue_with_other_arguments_is_found(
    rabbitmq_settings: Settings, rabbitmq_url: str, tmp_path: Path
) -> None:
    name = f"{rabbitmq_settings.namespace}.rejects"
    with raw_channel(rabbitmq_url) as channel:
        channel.queue_declare(name, durable=True)
    done = Dlmon(rabbitmq_settings, tmp_path)("doctor", "--json")
    assert done.returncode == 3
    assert states(done.stdout)[f"type, limits and dead-lettering of {name}"] == "failed"


@pytest.mark.parametrize(
    ("host", "step"),
    [("127.0.0.1:{port}", "port 127.0.0.1:{port}"), ("nowhere.invalid", "name nowhere.invalid")],
)
def test_the_step_that_fails_is_told_apart(tmp_path: Path, host: str, step: str) -> None:
    port = free_port()
    url = f"amqp://{host.format(port=port)}/"
    done = Dlmon(settings_for(url, "doctor", tmp_path), tmp_path)("doctor", "--json")
    assert done.returncode == 3
    failed = [name for name, state in states(done.stdout).items() if state == "failed"]
    assert failed == [step.format(port=port)]


def test_a_wrong_password_is_told_apart(rabbitmq_url: str, tmp_path: Path) -> None:
    settings = settings_for(rabbitmq_url, "doctor", tmp_path, broker_password=_NOT_IT)
    done = Dlmon(settings, tmp_path)("doctor", "--json")
    assert done.returncode == 3
    [failed] = [name for name, state in states(done.stdout).items() if state == "failed"]
    assert failed.startswith("login with user")
    assert _NOT_IT not in done.stdout + done.stderr
