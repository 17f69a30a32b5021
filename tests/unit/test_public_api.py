"""`import dlmon`: what it offers, and what it leaves alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import dlmon
from dlmon import errors

IN_A_NEW_PROCESS = """
import gc, logging, signal, sys
before = (gc.get_threshold(), sys.getswitchinterval(), signal.getsignal(signal.SIGINT), sys.stdout)
{program}
after = (gc.get_threshold(), sys.getswitchinterval(), signal.getsignal(signal.SIGINT), sys.stdout)
assert before == after
changed = [
    name for name, logger in logging.root.manager.loggerDict.items()
    if isinstance(logger, logging.Logger) and (
        logger.level or any(type(one) is not logging.NullHandler for one in logger.handlers)
    )
]
assert changed == [], changed
unwanted = {{"typer", "click", "rich", "jq", "prometheus_client", "ecs_logging"}}
assert not unwanted & set(sys.modules), unwanted & set(sys.modules)
"""

VALIDATE = 'from dlmon import Validator, load_schema; Validator(load_schema()).validate(b"[]")'
PUBLISH = """
from dlmon import Publisher
with Publisher("sqlite:///{folder}/broker.db", validate=False) as publisher:
    publisher.publish(b"{{}}")
"""
USE_RABBITMQ = """
import pika
tables = [dict(pika.spec.props), dict(pika.spec.methods)]
from dlmon.brokers.rabbitmq import RabbitMQBroker
from dlmon import BrokerUnreachable, Publisher
try:
    Publisher("amqp://127.0.0.1:1/")
except BrokerUnreachable:
    pass
assert tables == [dict(pika.spec.props), dict(pika.spec.methods)]
"""


@pytest.mark.parametrize(
    "program",
    ["import dlmon", "from dlmon import *", VALIDATE, PUBLISH, USE_RABBITMQ],
    ids=["import", "everything", "validate", "publish", "rabbitmq"],
)
def test_importing_and_using_it_changes_nothing_in_the_process(
    program: str, tmp_path: Path
) -> None:
    program = IN_A_NEW_PROCESS.format(program=program.format(folder=tmp_path))
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, timeout=180)


def test_importing_it_loads_nothing_else() -> None:
    program = "import sys, dlmon; print([m for m in sys.modules if m.startswith('dlmon')])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, timeout=180
    )
    assert done.stdout == b"['dlmon']\n"


def test_all_that_is_promised_is_there_and_documented() -> None:
    for name in dlmon.__all__:
        assert getattr(dlmon, name).__doc__, name
    assert set(dlmon.__all__) <= set(dir(dlmon))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'dlmon' has no attribute 'Publsher'"):
        dlmon.Publsher  # type: ignore[attr-defined]  # noqa: B018


def test_every_error_of_brokers_and_settings_is_exported() -> None:
    assert dlmon.BrokerUnreachable is errors.BrokerUnreachable
    tree = {
        error.__name__
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.DlmonError)
    }
    # Programs that publish neither consume, nor read files of events, nor open stores.
    of_commands = {
        "EventsRefused",
        "FileError",
        "RejectsReturned",
        "ResourceError",
        "StoreError",
        "StoreUnavailable",
    }
    assert tree - of_commands <= set(dlmon.__all__)
