"""Passwords that are changed while a consumer runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dlmon.config.settings import Settings
from tests.support.dlmon import Dlmon
from tests.support.node import PrivateNode
from tests.support.pipeline import Pipeline, eventually

OLD, NEW = "first-secret", "second-secret"


@pytest.fixture
def user(private_node: PrivateNode, namespace: str) -> Iterator[str]:
    private_node.add_user(namespace, OLD, ".*", ".*", ".*")
    yield namespace
    private_node.ctl("delete_user", namespace)


@pytest.mark.parametrize("source", ["FILE", "COMMAND"])
def test_a_new_password_is_read_when_the_connection_is_made_again(
    private_node: PrivateNode, private_settings: Settings, tmp_path: Path, user: str, source: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(OLD)
    dlmon = Dlmon(
        private_settings,
        tmp_path,
        DLMON_BROKER=private_node.url.replace("guest:guest@", ""),
        DLMON_BROKER_USER=user,
        **{f"DLMON_BROKER_PASSWORD_{source}": str(secret) if source == "FILE" else f"cat {secret}"},
    )
    with closing(Pipeline(dlmon)) as pipeline:
        consumer = pipeline.consume()
        assert pipeline.produce("--count", "10", "--rate", "0").ends() == 0
        eventually(lambda: pipeline.stored == 10)

        private_node.ctl("change_password", user, NEW)
        private_node.ctl("close_all_connections", "the password was changed")
        # Whoever changes it on both sides does so one after the other.
        consumer.says("refused the login")
        secret.write_text(NEW)

        assert pipeline.produce("--count", "10", "--rate", "0").ends() == 0
        eventually(lambda: pipeline.stored == 20)
        assert consumer.stop() == 0
        assert OLD not in consumer.said
        assert NEW not in consumer.said
