"""Patches, and the process that they run in."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from dlmon.errors import Interrupted, UsageError
from dlmon.rejects.patch import Patch, PatchFailure, PatchResult
from dlmon.runtime.stop import Stop

NEVER_ENDING = (
    "[repeat(.)]",
    "def f: f; f",
    "last(range(1e18))",
    "until(false; .)",
    "[limit(1e18; repeat(1))] | length",
)


def patched(expression: str, *events: Any, seconds: float = 5) -> list[PatchResult]:
    with Patch(expression, seconds=seconds) as patch:
        return patch.apply(events)


def output_of(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize(
    ("expression", "before", "after"),
    [
        (".speed |= tonumber", {"speed": "12.5", "a": "é"}, {"speed": 12.5, "a": "é"}),
        (".size *= 1024", {"size": 2}, {"size": 2048}),
        ("del(.extra)", {"a": 1, "extra": None}, {"a": 1}),
        ('.at |= sub(" "; "T")', {"at": "2026-03-01 12:00:00Z"}, {"at": "2026-03-01T12:00:00Z"}),
        (".", {"exact": 51.935739, "whole": 2**53, "nested": [[], {}]}, None),
        (".", None, None),
    ],
)
def test_an_event_is_corrected(expression: str, before: Any, after: Any) -> None:
    (result,) = patched(expression, before)
    assert isinstance(result, bytes)
    assert orjson.loads(result) == (after or before)


def test_many_events_come_back_in_order_whatever_happens_to_each() -> None:
    numbers: list[Any] = [n if n % 7 else {} for n in range(3000)]
    results = patched(". * 2", *numbers)
    expected = [b"%d" % (2 * n) if n % 7 else None for n in range(3000)]
    assert [one if isinstance(one, bytes) else None for one in results] == expected


def test_events_larger_than_a_pipe_go_there_and_back() -> None:
    large = ["x" * 60_000] * 20
    assert patched(".", *large) == [orjson.dumps(one) for one in large]


@pytest.mark.slow
def test_where_events_may_be_large_a_patch_gets_more_memory() -> None:
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and limit.read_text("utf-8").strip().isdecimal():
        pytest.skip("takes more than a gigabyte, and this container's memory is limited")
    expression, event = '("a" * .n) | 1', {"n": 520_000_000}
    (failure,) = patched(expression, event)
    assert failure == PatchFailure("the patch took more than 512 MB of memory")
    with Patch(expression, max_bytes=16 * 2**20) as patch:
        assert patch.apply([event]) == [b"1"]


@pytest.mark.parametrize("expression", [".a |=", "nonsense", '"unfinished', "", "$unknown", "}"])
def test_what_is_no_jq_is_wrong_usage(expression: str) -> None:
    with pytest.raises(UsageError, match="is no jq expression"):
        Patch(expression)


def test_members_keep_their_order() -> None:
    assert patched(".b |= tonumber", {"z": 1, "b": "2", "a": 3}) == [b'{"z":1,"b":2,"a":3}']


@pytest.mark.parametrize(
    ("expression", "event", "reason"),
    [
        (".a |= tonumber", {"a": "fast"}, "cannot be parsed as a number"),
        (".a, .b", {"a": 1, "b": 2}, "gives more than one result"),
        ("repeat(.)", {}, "gives more than one result"),
        ("empty", {}, "gives no result"),
        ('error("not this one")', {}, "not this one"),
        (".a[0]", {"a": 1}, "Cannot index number"),
        ('"x" * 70000', {}, "larger than the limit of 65536 bytes"),
        ("reduce range(300) as $n (.; [.])", {}, "[Rr]ecursion"),
    ],
)
def test_a_correction_that_does_not_fit_says_why(expression: str, event: Any, reason: str) -> None:
    (result,) = patched(expression, event)
    assert isinstance(result, PatchFailure)
    assert re.search(reason, result.reason)


def test_a_number_that_jq_would_change_is_never_touched() -> None:
    (result,) = patched(".speed |= tonumber", {"speed": "1", "account": 2**53 + 1})
    assert result == PatchFailure("it has a number that jq cannot keep exactly")


@pytest.mark.parametrize("expression", NEVER_ENDING)
@pytest.mark.slow
def test_a_patch_that_never_ends_is_ended(expression: str) -> None:
    started = time.monotonic()
    (result,) = patched(expression, {}, seconds=0.5)
    assert result == PatchFailure("the patch did not end within 0.5 s")
    assert time.monotonic() - started < 30


@pytest.mark.slow
def test_a_patch_that_never_ends_for_one_event_goes_on_with_the_others() -> None:
    events = [{"n": n} for n in range(200)]
    results = patched("if .n == 150 then until(false; .) else .n end", *events, seconds=2)
    assert [one for one in results if isinstance(one, PatchFailure)] == [results[150]]
    assert results[151:] == [b"%d" % n for n in range(151, 200)]


@pytest.mark.parametrize("number", [2, 1000])
@pytest.mark.slow
def test_a_patch_that_ends_for_no_event_is_given_up(number: int) -> None:
    started = time.monotonic()
    with pytest.raises(UsageError, match=r"did not end within 0\.2 s, for event after event"):
        patched("[repeat(.)]", *[{}] * number, seconds=0.2)
    assert time.monotonic() - started < 30


@pytest.mark.slow
def test_a_patch_that_fails_for_every_second_event_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dlmon.rejects.patch._MAX_FAILURES", 4)
    events = [{"n": n} for n in range(100)]
    with pytest.raises(UsageError, match="4 so far"):
        patched("if .n % 2 == 1 then until(false; .) else . end", *events, seconds=0.1)


@pytest.mark.parametrize(
    "expression",
    ['.n as $n | "a" * ($n * 1e9)', 'reduce range(.n * 60) as $i ("ab"; . + .)'],
)
@pytest.mark.slow
def test_a_patch_that_takes_memory_is_ended(expression: str) -> None:
    results = patched(f"if .n == 1 then {expression} else . end", {"n": 0}, {"n": 1}, {"n": 2})
    assert (results[0], results[2]) == (b'{"n":0}', b'{"n":2}')
    assert isinstance(results[1], PatchFailure)
    assert results[1].reason == "the patch took more than 512 MB of memory"


def test_a_patch_that_takes_memory_before_any_event_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="took more than 512 MB of memory"):
        Patch('"a" * 1e9')


def test_a_result_too_deep_for_the_stack_ends_only_the_process_of_the_patch() -> None:
    (result,) = patched("reduce range(100000) as $n (.; [.])", {})
    assert isinstance(result, PatchFailure)


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("env", "env"),
        ("env.PATH", "env"),
        ("$ENV.PATH", "$ENV"),
        ("{$ENV}", "$ENV"),
        (".a = ($ENV | keys)", "$ENV"),
        ('import "secrets" as $s {search: "/"}; .', "import"),
        ('include "x"; .', "include"),
        ("input", "input"),
        ("[inputs]", "inputs"),
        ("input_filename", "input_filename"),
        ("input_line_number", "input_line_number"),
        ("halt", "halt"),
        ('"x" | halt_error', "halt_error"),
        ("debug", "debug"),
        ("stderr", "stderr"),
        ('"x" | modulemeta', "modulemeta"),
        ("get_search_list", "get_search_list"),
        ('"a text with \\(env) in it"', "env"),
        ('"\\("\\(env | keys)")"', "env"),
        ('"a" + "\\(.a)" + env.PATH', "env"),
        ("{a: env}", "env"),
        ("{(env | keys[0]): 1}", "env"),
        ("{a: 1 | env}", "env"),
        ("[1, env]", "env"),
        ("if env then . else . end", "env"),
        (".a # a comment\n| env", "env"),
        ('{"a": [{"b": 1}, env]}', "env"),
        ("def f: input; f", "input"),
    ],
)
def test_what_a_patch_must_not_use_is_refused_by_its_name(expression: str, word: str) -> None:
    with pytest.raises(UsageError) as refusal:
        Patch(expression)
    assert f"uses `{word}`, which " in str(refusal.value)


@pytest.mark.parametrize(
    "expression",
    [
        ".env",
        ".input.halt?",
        "{env: 1, input: 2} | .env",
        "{env, debug} | .",
        '"env, input and import"',
        '."env"',
        '.["input"]',
        ". as $env | $env",
        ". as {env: $a} | $a",
        "# env\n.",
        '"say \\"env\\""',
        '"\\(1) env"',
        "@text",
        ".environment",
        '"\\\\" | . # env',
    ],
)
def test_the_same_words_as_names_of_members_and_in_texts_are_fine(expression: str) -> None:
    (result,) = patched(expression, {"env": {"halt": 1}, "input": {"halt": 1}})
    assert isinstance(result, bytes)


def test_the_process_has_no_environment_no_files_and_an_empty_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # What is refused by its name is allowed here, to see what the process itself prevents.
    monkeypatch.setattr("dlmon.rejects.patch.forbidden_word", lambda _expression: None)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SECRET", "x")
    (tmp_path / "secrets.json").write_text('"secret"')
    (tmp_path / ".jq").write_text("def secret: 1;")
    assert patched('env, $ENV | keys | map(select(. != "LC_CTYPE")) | .[0]', {}) != [b'"SECRET"']
    assert patched('[env, $ENV | has("SECRET")] | any', {}) == [b"false"]
    with pytest.raises(UsageError, match="is no jq expression"):
        Patch("secret")
    for module in ("secrets", "/secrets"):
        with pytest.raises(UsageError, match="is no jq expression"):
            Patch(f'import "{module}" as $s {{search: "{tmp_path}"}}; $s')
    (result,) = patched("input", {})
    assert isinstance(result, PatchFailure)
    with Patch(".") as patch:
        process = patch._process
        assert process is not None
        folder = Path(f"/proc/{process._process.pid}/cwd")
        if folder.exists() or folder.is_symlink():
            assert str(folder.readlink()).endswith("(deleted)")


def test_a_stop_request_ends_a_patch_that_never_ends() -> None:
    stop = Stop()
    with Patch("[repeat(.)]") as patch:
        timer = threading.Timer(0.3, stop.request)
        timer.start()
        with pytest.raises(Interrupted):
            patch.apply([{}], stop)


def test_the_process_ends_by_itself_when_dlmon_is_killed() -> None:
    program = (
        "import os\nfrom dlmon.rejects.patch import Patch\n"
        "patch = Patch('[repeat(.)]', seconds=1)\n"
        "print(patch._process._process.pid, flush=True)\n"
        "patch.apply([{}])\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(child, 0)
            state = Path(f"/proc/{child}/stat")
            if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the process of the patch is still there")


def test_what_a_system_cannot_limit_is_named() -> None:
    program = (
        "import resource, sys\n"
        "from dlmon.rejects import patch_process\n"
        "def refuse(number, limits):\n"
        "    if number == resource.RLIMIT_AS: raise ValueError('not supported')\n"
        "resource.setrlimit = refuse\n"
        "print(patch_process.restrict(2**30))\n"
        "sys.platform = 'darwin'\n"
        "resource.setrlimit = lambda number, limits: None\n"
        "print(patch_process.restrict(2**30))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.split("\n")[:2] == ["['memory']", "['memory']"]


def test_jq_is_loaded_in_the_process_of_the_patch_only() -> None:
    program = (
        "import sys\nfrom dlmon.rejects.patch import Patch\n"
        "with Patch('.') as patch: patch.apply([{}])\nprint('jq' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout == "False\n"
