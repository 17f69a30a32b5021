"""No command writes to a file that it reads, or writes two things to one file."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.messages import Message, Queue
from dlmon.rejects.export import to_line
from dlmon.stores.sqlite import SqliteStore
from tests.conftest import settings_for
from tests.support.dlmon import Dlmon
from tests.support.events import make_body
from tests.support.rejections import ids, park, slow


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = settings_for(f"sqlite:///{tmp_path / 'broker.db'}", "dlmon", tmp_path)
    with open_broker(settings) as broker:
        broker.publish(Queue.ARRIVALS, [[Message(make_body(), "an event")]])
        park(broker, [slow()])
    (tmp_path / "events.ndjson").write_bytes(make_body() + b"\n")
    (tmp_path / "rejects.ndjson").write_bytes(to_line(slow()))
    (tmp_path / "store.db").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "events.ndjson")
    return settings


def run(
    settings: Settings, folder: Path, arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    dlmon = Dlmon(settings, folder, **variables)
    return subprocess.run(
        ["sh", "-c", f"exec {shlex.join(dlmon.command())} {arguments}"],
        env=dlmon.environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            "produce --from events.ndjson --ledger events.ndjson --rate 0",
            "--ledger and --from are the same file, events.ndjson",
        ),
        ("produce --from link --ledger events.ndjson", "--ledger and --from"),
        ("produce --from - --ledger events.ndjson < events.ndjson", "--ledger and --from"),
        ("produce --from events.ndjson --to-stdout >> events.ndjson", "stdout and --from"),
        ("produce --to-stdout --count 1 --ledger events.ndjson >> link", "stdout and --ledger"),
        ("produce --count 1 --ledger broker.db", "--ledger and --broker"),
        ("produce --count 1 --ledger broker.db-wal", "--ledger and --broker"),
        ("produce --count 1 --ledger store.db", "--ledger and --store"),
        (
            "replay-rejects --from rejects.ndjson --receipt rejects.ndjson --dry-run",
            "--receipt and --from are the same file, rejects.ndjson",
        ),
        ("replay-rejects --from rejects.ndjson --yes >> rejects.ndjson", "stdout and --from"),
        ("replay-rejects --from rejects.ndjson --yes 2>> rejects.ndjson", "stderr and --from"),
        ("replay-rejects --receipt broker.db --yes", "--receipt and --broker"),
        ("replay-rejects --receipt any.json --schema any.json --yes", "--receipt and --schema"),
        ("discard-rejects --all --yes --export new --receipt new", "--receipt and --export"),
        ("inspect-rejects --json --export new >> new", "stdout and --export"),
        ("inspect-rejects --json >> broker.db", "stdout and --broker"),
        ("inspect-rejects >> store.db", "stdout and --store"),
        ("consume --until-empty --store ndjson:broker.db", "--store and --broker"),
        ("consume --until-empty --store sqlite:///broker.db", "--store and --broker"),
        ("consume --until-empty --store stdout >> broker.db", "stdout and --broker"),
        ("consume --until-empty --store ndjson:s --workers 2 >> s", "stdout and --store"),
        ("validate-file events.ndjson >> events.ndjson", "stdout and FILE"),
        ("validate-file --output json . >> events.ndjson", "stdout and FILE"),
        ("validate-file - --split-valid - < events.ndjson >> events.ndjson", "stdout and FILE"),
        (
            "validate-file events.ndjson --split-valid a --split-invalid ./a",
            "--split-valid and --split-invalid",
        ),
        ("status --json >> broker.db", "stdout and --broker"),
        (
            "report --output parquet --events --to store.db-journal",
            "--to and --store are the same file, ",
        ),
        (
            "report --output parquet --events --to store.summaries.db",
            "the summaries of the store and --to are the same file, ",
        ),
        (
            "consume --until-empty --schema-ref refs --store ndjson:refs/any.json",
            "--store and --schema-ref",
        ),
        (
            "produce --count 1 --schema-ref refs --ledger refs/new --schema any.json >> any.json",
            "stdout and --schema",
        ),
    ],
)
def test_it_is_refused_before_anything_is_written(
    settings: Settings, tmp_path: Path, arguments: str, complaint: str
) -> None:
    (tmp_path / "any.json").write_text("true")
    (tmp_path / "refs").mkdir()
    (tmp_path / "refs" / "any.json").hardlink_to(tmp_path / "any.json")
    names = ("events.ndjson", "rejects.ndjson", "store.db", "any.json", "broker.db")
    before = {name: (tmp_path / name).read_bytes() for name in names}
    done = run(settings, tmp_path, arguments, DLMON_STORE=f"sqlite:///{tmp_path / 'store.db'}")
    assert done.returncode == 2
    said = done.stderr or (tmp_path / "rejects.ndjson").read_text().splitlines()[-1]
    assert complaint in said
    after = {name: (tmp_path / name).read_bytes() for name in names}
    if "2>>" not in arguments:
        assert after == before
    with open_broker(settings) as broker:
        assert ids(broker, Queue.ARRIVALS) == ["an event"]
        assert len(ids(broker, Queue.REJECTS)) == 1


def test_a_report_is_not_written_into_its_summaries(settings: Settings, tmp_path: Path) -> None:
    store = tmp_path / "new.db"
    SqliteStore(store).close()
    summaries = tmp_path / "new.summaries.db"
    summaries.write_bytes(b"")
    done = run(settings, tmp_path, f"report >> {summaries}", DLMON_STORE=f"sqlite:///{store}")
    assert done.returncode == 2
    assert "stdout and the summaries of the store are the same file" in done.stderr
    assert summaries.read_bytes() == b""


def test_a_second_name_of_a_broker_is_no_other_broker_to_forward_to(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "hard.db").hardlink_to(tmp_path / "broker.db")
    done = run(settings, tmp_path, f"forward --from sqlite:///{tmp_path / 'hard.db'} --until-empty")
    assert done.returncode == 2
    assert "--from and --to are the same queue" in done.stderr
    with open_broker(settings) as broker:
        assert ids(broker, Queue.ARRIVALS) == ["an event"]
