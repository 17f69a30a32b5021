"""The three commands: what they print, ask and exit with."""

from __future__ import annotations

import json
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import pexpect
import pytest

from dlmon.brokers.base import Broker
from dlmon.errors import UsageError
from dlmon.messages import Queue
from dlmon.rejects.export import to_line
from dlmon.rejects.rejection import Rejection
from dlmon.validation.violations import Violation
from tests.support.dlmon import Dlmon
from tests.support.events import make_body
from tests.support.messages import PATIENCE
from tests.support.rejections import AT, VALIDATOR, contents, ids, park, rejection, slow

EVIL = "\x1b[31m\u202e[bold]evil[/bold]\x07"


def mended() -> Rejection:
    return rejection(make_body(), Violation("type", "/file_size", "old"))


def screen(terminal: pexpect.spawn, first: str) -> list[str]:
    """The lines that a terminal has at the end, from that with `first` in it."""
    terminal.expect(pexpect.EOF)
    lines = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", str(terminal.before)).splitlines()
    (start,) = (number for number, line in enumerate(lines) if first in line)
    return lines[start:]


def test_the_default_view_is_groups_with_their_share_times_and_a_sample(
    broker: Broker, dlmon: Dlmon
) -> None:
    newest = replace(slow(), rejected_at=AT + 60_000)
    park(broker, [slow(), slow(), newest, rejection(make_body(file_size=-1))])
    result = dlmon("inspect-rejects")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("4 rejects in ")
    assert "all looked at" in lines[0]
    assert lines[2].split()[:5] == ["3", "75%", "type", "at", "/download_speed"]
    assert lines[3].strip() == '"25.5" is not of type "number"'
    assert newest.message_id in lines[4]
    assert lines[5].split()[:5] == ["1", "25%", "minimum", "at", "/file_size"]
    assert f"validated by {VALIDATOR.schema.version}" in result.stdout
    assert "sent to dlmon download.completed" in result.stdout
    assert len(ids(broker, Queue.REJECTS)) == 4


def test_forty_groups_fit_a_screen_and_the_rest_is_counted(broker: Broker, dlmon: Dlmon) -> None:
    # The larger its number, the more rejects there are in a group.
    odd = [Violation("type", f"/{n}", "x" * 200) for n in range(40) for _ in range(n + 1)]
    park(broker, [replace(rejection(make_body(), one), origin=one.path) for one in odd])
    terminal = dlmon.on_terminal("inspect-rejects", columns=80, rows=24)
    lines = screen(terminal, "820 rejects in")
    assert 18 < len(lines) <= 22
    assert not [line for line in lines if len(line) > 80]
    shown = [line for line in lines if "type at /" in line]
    assert [line.split()[4] for line in shown] == [f"/{39 - row}" for row in range(len(shown))]
    hidden = 40 - len(shown)
    rejects = sum(range(1, hidden + 1))
    assert f"And {hidden} more groups ({rejects} rejects): --limit 40 shows all." in lines
    everything = dlmon.on_terminal("inspect-rejects", "--limit", "40", columns=80, rows=24)
    assert sum("type at /" in line for line in screen(everything, "820 rejects in")) == 40


def test_what_all_groups_have_in_common_is_shown_once(broker: Broker, dlmon: Dlmon) -> None:
    first, second = slow(), rejection(make_body(file_size=-1))
    park(broker, [first, replace(first, origin="agents 1"), second])
    shown = dlmon.in_this_process("inspect-rejects")
    lines = [line.strip() for line in shown.splitlines()]
    assert lines.count("sent to dlmon download.completed") == 1
    assert {"sent to dlmon download.completed, agents 1"} < set(lines)
    assert lines[-1] == f"all validated by {VALIDATOR.schema.version}"


def test_what_another_reader_holds_is_no_empty_queue(broker: Broker, dlmon: Dlmon) -> None:
    park(broker, [slow()])
    with broker.open_reader(Queue.REJECTS) as other:
        assert len(other.read(1)) == 1
        result = dlmon("inspect-rejects")
    assert result.stdout.startswith("No rejects to see in ")
    assert "another reader holds" in result.stderr or "another reader may hold" in result.stderr


def test_a_list_fits_a_screen(broker: Broker, dlmon: Dlmon) -> None:
    parked = [replace(slow(), rejected_at=AT + 1000 * number) for number in range(30)]
    park(broker, parked)
    terminal = dlmon.on_terminal("inspect-rejects", "--list", columns=80, rows=24)
    _, *lines, note = screen(terminal, "message id")
    assert [line.split()[0] for line in lines] == [f"03:00:{29 - n:02}" for n in range(20)]
    assert "20 of 30 shown" in note


def test_the_list_has_tabs_in_a_pipe_and_the_newest_first(broker: Broker, dlmon: Dlmon) -> None:
    older, newer = slow(), replace(slow(), rejected_at=AT + 1)
    park(broker, [older, newer])
    result = dlmon("inspect-rejects", "--list")
    reason = '"25.5" is not of type "number"'
    assert [line.split("\t") for line in result.stdout.splitlines()] == [
        ["2026-03-01T03:00:00.001Z", newer.message_id, "type", "/download_speed", reason],
        ["2026-03-01T03:00:00.000Z", older.message_id, "type", "/download_speed", reason],
    ]
    result = dlmon("inspect-rejects", "--list", "--oldest-first", "--limit", "1")
    assert older.message_id in result.stdout
    assert newer.message_id not in result.stdout
    assert "1 of 2 shown" in result.stderr


def test_show_marks_every_place_that_fails(broker: Broker, dlmon: Dlmon) -> None:
    parked = slow(coordinates={"latitude": 95, "longitude": 0})
    park(broker, [parked, slow()])
    shown = dlmon.in_this_process("inspect-rejects", "--show", parked.message_id)
    lines = shown.splitlines()
    for value, reason in (
        ('"25.5"', 'type: "25.5" is not of type "number"'),
        ("95", "maximum: 95 is greater than the maximum of 90"),
    ):
        # Behind its name: an id can end in the same digits.
        wrong = f": {value}"
        (at,) = (number for number, line in enumerate(lines) if line.rstrip(",").endswith(wrong))
        assert lines[at + 1].strip() == f"{'^' * len(value)} {reason}"
        assert lines[at + 1].index("^") == lines[at].index(value)
    assert "2 violations" in shown
    assert "by consumer-1" in shown


def test_show_has_hex_where_the_body_is_no_text(broker: Broker, dlmon: Dlmon) -> None:
    parked = rejection(b'{"a": "\xff\x00"}')
    park(broker, [parked])
    lines = dlmon.in_this_process("inspect-rejects", "--show", parked.message_id).splitlines()
    row = next(line for line in lines if "7b 22 61" in line)
    mark = next(line for line in lines if "^^" in line)
    assert row[mark.index("^") :].startswith("ff 00")
    assert "not-utf8" in mark


def test_show_points_at_the_end_of_a_truncated_body(broker: Broker, dlmon: Dlmon) -> None:
    parked = rejection(b'{"file_size": 1')
    park(broker, [parked])
    lines = dlmon.in_this_process("inspect-rejects", "--show", parked.message_id).splitlines()
    (at,) = (number for number, line in enumerate(lines) if line.endswith('{"file_size": 1'))
    assert lines[at + 1].index("^") == len(lines[at])


def test_nothing_in_an_event_can_act_on_the_terminal(broker: Broker, dlmon: Dlmon) -> None:
    parked = rejection(
        make_body(download_speed=EVIL),
        Violation("type", f"/{EVIL}", EVIL),
        message_id=f"id {EVIL}",
        headers={EVIL: EVIL},
    )
    park(broker, [parked])
    for arguments in ([], ["--list"], ["--show", parked.message_id]):
        terminal = dlmon.on_terminal("inspect-rejects", *arguments)
        terminal.expect(pexpect.EOF)
        shown = terminal.before or ""
        assert "[bold]evil[/bold]" in shown
        assert "\x1b[31m" not in shown
        assert not {"\x07", "\u202e"} & set(shown)


def test_json_is_what_replay_reads(broker: Broker, dlmon: Dlmon) -> None:
    parked = [mended(), rejection(b"\xff")]
    park(broker, parked)
    exported = dlmon("inspect-rejects", "--json").stdout
    assert sorted(exported.encode().splitlines(True)) == sorted(map(to_line, parked))
    result = dlmon("replay-rejects", "--from", "-", "--yes", stdin=exported)
    assert result.returncode == 0
    assert ids(broker, Queue.ARRIVALS) == [parked[0].message_id]


def test_an_export_is_a_new_file_with_what_was_selected(
    broker: Broker, dlmon: Dlmon, tmp_path: Path
) -> None:
    parked = slow()
    park(broker, [parked, mended()])
    export = ("inspect-rejects", "--code", "type", "--path", "/download_speed")
    result = dlmon(*export, "--export", "out.ndjson")
    assert result.returncode == 0
    assert (tmp_path / "out.ndjson").read_bytes() == to_line(parked)
    again = dlmon(*export, "--export", "out.ndjson")
    assert (again.returncode, again.stdout) == (2, "")
    assert "exists already" in again.stderr


def test_revalidate_counts_how_many_would_pass_now(broker: Broker, dlmon: Dlmon) -> None:
    park(broker, [mended(), mended(), slow()])
    shown = dlmon.in_this_process("inspect-rejects", "--revalidate")
    assert "Of 3, 2 would pass now." in shown
    assert "type at /download_speed" in shown
    assert "type at /file_size" not in shown


def test_revalidate_uses_the_schema_that_is_given(
    broker: Broker, dlmon: Dlmon, tmp_path: Path
) -> None:
    (tmp_path / "any.json").write_text("true")
    park(broker, [slow()])
    shown = dlmon.in_this_process("inspect-rejects", "--revalidate", "--schema", "any.json")
    assert "Of 1, 1 would pass now." in shown


def test_more_than_max_count_exits_with_1_for_a_monitor(broker: Broker, dlmon: Dlmon) -> None:
    park(broker, [slow(), mended()])
    assert dlmon("inspect-rejects", "--max-count", "2").returncode == 0
    assert dlmon("inspect-rejects", "--max-count", "1").returncode == 1
    some = ("inspect-rejects", "--path", "/file_size", "--max-count")
    assert dlmon(*some, "1").returncode == 0
    assert dlmon(*some, "0").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["inspect-rejects", "--since", "yesterday"], "--since"),
        (["inspect-rejects", "--path", "file_size"], "begins with a slash: /file_size"),
        (["inspect-rejects", "--list", "--json"], "Choose one of"),
        (["inspect-rejects", "--show", "nobody"], "No reject has the message id 'nobody'"),
        (["replay-rejects"], "add --yes"),
        (["replay-rejects", "--patch", ".a |=", "--yes"], "is no jq expression"),
        (["replay-rejects", "--patch", "env.HOME", "--yes"], "uses `env`, which reads"),
        (["replay-rejects", "--patch", "[input]", "--dry-run"], "uses `input`, which reads"),
        (["replay-rejects", "--from", "missing.ndjson", "--yes"], "No such file"),
        (["discard-rejects", "--yes"], "--all"),
        (["discard-rejects", "--code", "type"], "add --yes"),
        (["discard-rejects", "--all", "--code", "type", "--yes"], "--all"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_to_do(
    broker: Broker, dlmon: Dlmon, arguments: list[str], complaint: str
) -> None:
    park(broker, [slow()])
    with pytest.raises(UsageError, match=re.escape(complaint)) as refused:
        dlmon.in_this_process(*arguments)
    assert refused.value.exit_code == 2
    assert len(ids(broker, Queue.REJECTS)) == 1


def test_a_patch_that_fails_for_one_event_leaves_it_and_replays_the_others(
    broker: Broker, dlmon: Dlmon, tmp_path: Path
) -> None:
    greedy, *others = (slow(greedy=number == 0) for number in range(5))
    park(broker, [greedy, *others])
    patch = '(if .greedy then "x" * (.file_size * 600) else . end) | .download_speed |= tonumber'
    done = dlmon("replay-rejects", "--patch", patch, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cannot be patched: the patch took more than 512 MB of memory" in done.stdout
    assert ids(broker, Queue.ARRIVALS) == sorted(one.message_id for one in others)
    assert ids(broker, Queue.REJECTS) == [greedy.message_id]


def test_replay_hands_over_a_receipt_by_id(broker: Broker, dlmon: Dlmon, tmp_path: Path) -> None:
    passing, failing = mended(), slow()
    park(broker, [passing, failing])
    result = dlmon("replay-rejects", "--yes", "--receipt", "receipt.ndjson")
    assert result.returncode == 0
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["selected", "2"],
        ["replayed", "1"],
        ["left", "1"],
        ["1", "would", "be", "rejected", "again:", "type", "at", "/download_speed"],
        ["failed", "0"],
    ]
    entries = [json.loads(line) for line in (tmp_path / "receipt.ndjson").read_text().splitlines()]
    assert sorted((one["message_id"], one["outcome"]) for one in entries) == sorted(
        [(passing.message_id, "replayed"), (failing.message_id, "left")]
    )
    assert {one["dry_run"] for one in entries} == {False}


def test_a_receipt_is_continued_and_says_what_was_a_dry_run(
    broker: Broker, dlmon: Dlmon, tmp_path: Path
) -> None:
    park(broker, [mended()])
    replay = ("replay-rejects", "--receipt", "receipt.ndjson")
    assert dlmon(*replay, "--dry-run").returncode == 0
    assert len(ids(broker, Queue.REJECTS)) == 1
    assert dlmon(*replay, "--yes").returncode == 0
    entries = [json.loads(line) for line in (tmp_path / "receipt.ndjson").read_text().splitlines()]
    assert [(one["outcome"], one["dry_run"]) for one in entries] == [
        ("replayed", True),
        ("replayed", False),
    ]


def test_replay_shows_what_a_patch_does_before_it_asks(broker: Broker, dlmon: Dlmon) -> None:
    park(broker, [slow()])
    terminal = dlmon.on_terminal("replay-rejects", "--patch", ".download_speed |= tonumber")
    terminal.expect_exact('-   "download_speed": "25.5"')
    terminal.expect_exact('+   "download_speed": 25.5')
    terminal.expect_exact("Replay 1?")
    assert len(ids(broker, Queue.REJECTS)) == 1
    terminal.sendline("y")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    (arrived,) = contents(broker, Queue.ARRIVALS)
    assert VALIDATOR.validate(arrived.body).valid
    assert not ids(broker, Queue.REJECTS)


@pytest.mark.parametrize(
    ("arguments", "group"),
    [
        (["replay-rejects"], "3   100%  type at /file_size"),
        (["discard-rejects", "--path", "/download_speed"], "2   100%  type at /download_speed"),
    ],
)
def test_what_would_be_done_is_shown_in_groups(
    broker: Broker, dlmon: Dlmon, arguments: list[str], group: str
) -> None:
    park(broker, [slow(), slow(), mended(), mended(), mended()])
    shown = dlmon(*arguments, "--dry-run").stdout
    assert group in shown
    assert shown.count("type at /") == (1 if "discard-rejects" in arguments else 2)
    terminal = dlmon.on_terminal(*arguments)
    terminal.expect_exact(group.partition("%")[2].strip())
    terminal.expect(r"(Replay|Discard) \d\?")
    terminal.sendline("n")
    terminal.expect(pexpect.EOF)


def test_a_dry_run_with_a_patch_counts_what_it_leaves_as_it_is(
    broker: Broker, dlmon: Dlmon
) -> None:
    park(broker, [*[slow() for _ in range(5)], mended()])
    arguments = ("replay-rejects", "--patch", ".download_speed |= tonumber", "--dry-run")
    shown = dlmon(*arguments).stdout
    assert shown.count('+   "download_speed": 25.5') == 3
    assert "And 2 more events, and 1 event without a change." in shown


@pytest.mark.parametrize("answer", ["n\n", "\x03"])
def test_no_and_ctrl_c_leave_everything(broker: Broker, dlmon: Dlmon, answer: str) -> None:
    park(broker, [slow()])
    terminal = dlmon.on_terminal("discard-rejects", "--all")
    terminal.expect_exact("Discard 1?")
    terminal.send(answer)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == (130 if answer == "\x03" else 0)
    assert len(ids(broker, Queue.REJECTS)) == 1


def test_ctrl_c_ends_a_slow_replay_with_its_receipt(
    broker: Broker, dlmon: Dlmon, tmp_path: Path
) -> None:
    parked = [mended() for _ in range(50)]
    park(broker, parked)
    receipt = tmp_path / "receipt.ndjson"
    process = dlmon.start("replay-rejects", "--rate", "10", "--yes", "--receipt", str(receipt))
    deadline = time.monotonic() + PATIENCE
    while broker.depth(Queue.ARRIVALS).ready < 12 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stderr) == (130, "")
    assert "Stopped before it was finished" in stdout
    replayed = [
        entry["message_id"]
        for entry in map(json.loads, receipt.read_text().splitlines())
        if entry["outcome"] == "replayed"
    ]
    assert 12 <= len(replayed) < 50
    assert ids(broker, Queue.ARRIVALS) == sorted(replayed)
    assert ids(broker, Queue.REJECTS) == sorted({one.message_id for one in parked} - set(replayed))


def test_discard_moves_to_a_file_that_replay_reads(
    broker: Broker, dlmon: Dlmon, tmp_path: Path
) -> None:
    broken, other = slow(), mended()
    park(broker, [broken, other])
    moved = dlmon("discard-rejects", "--id", broken.message_id, "--export", "one.ndjson", "--yes")
    assert moved.returncode == 0
    assert ids(broker, Queue.REJECTS) == [other.message_id]
    file = tmp_path / "one.ndjson"
    file.write_text(file.read_text().replace(r"\"25.5\"", "25.5"))
    replayed = dlmon("replay-rejects", "--from", "one.ndjson", "--yes")
    assert replayed.returncode == 0
    assert ids(broker, Queue.ARRIVALS) == [broken.message_id]
