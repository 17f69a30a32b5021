"""The protocol of an event, as the examples in other languages speak it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.messages import PUBLISHED_AT, Delivery, Queue
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from tests.conftest import unavailable
from tests.support.dlmon import url_of
from tests.support.messages import in_queue

EXAMPLES = Path(__file__).parents[2] / "examples"
PACKAGES = Path(__file__).parents[1] / "page" / "node_modules"


def run(name: str, settings: Settings, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the example in JavaScript with the exchange of this test."""
    if shutil.which("node") is None or not (PACKAGES / "amqplib").is_dir():
        unavailable("no amqplib: type `npm ci --prefix tests/page`")
    example = folder / name
    program = (EXAMPLES / name).read_text()
    assert program.count('"dlmon"') == 1
    example.write_text(program.replace('"dlmon"', f'"{settings.namespace}"'))
    return subprocess.run(
        ["node", str(example), url_of(settings)],
        env={**os.environ, "NODE_PATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.browser
def test_the_example_in_javascript_publishes_what_consume_stores(
    rabbitmq_settings: Settings, tmp_path: Path
) -> None:
    validator = Validator(load_schema())
    with open_broker(rabbitmq_settings) as broker:
        done = run("publish_events.js", rabbitmq_settings, tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        found: list[Delivery] = in_queue(broker, Queue.ARRIVALS)
    assert len(found) == 2
    for delivery in found:
        verdict = validator.validate(delivery.body)
        assert verdict.valid
        assert verdict.value["event_id"] == delivery.message_id
        assert delivery.content_type == "application/json"
        assert isinstance(delivery.headers[PUBLISHED_AT], int)


@pytest.mark.browser
def test_the_example_in_javascript_says_when_no_queue_takes_an_event(
    rabbitmq_settings: Settings, tmp_path: Path
) -> None:
    from tests.support.amqp import raw_channel

    with open_broker(rabbitmq_settings), raw_channel(url_of(rabbitmq_settings)) as channel:
        names = rabbitmq_settings.names
        channel.queue_delete(names.queue(Queue.ARRIVALS))
        done = run("publish_events.js", rabbitmq_settings, tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("no queue takes") == 2


@pytest.mark.parametrize("name", ["publish_events.js", "publish_events.go"])
def test_an_example_can_be_read_at_a_glance(name: str) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) <= 40
