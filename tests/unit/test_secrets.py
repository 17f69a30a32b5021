"""Passwords that a file holds or a command prints."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from dlmon.config import secrets
from dlmon.config.secrets import Secret
from dlmon.errors import SettingsError

HIDDEN = "hunter2"


def refused(secret: Secret) -> str:
    with pytest.raises(SettingsError) as caught:
        secret.read()
    assert HIDDEN not in str(caught.value)
    return str(caught.value)


def python(program: str) -> Secret:
    """What a Python program prints."""
    return Secret.printed_by(f'"{sys.executable}" -S -c "{program}"')


class TestCommand:
    @pytest.mark.parametrize(
        "child", ["sleep 20", "sleep 20 >&2", "while sleep 0.01; do echo; done", "exec sleep 20"]
    )
    def test_a_child_that_it_leaves_behind_is_not_waited_for(self, child: str) -> None:
        started = time.monotonic()
        assert Secret.printed_by(f"sh -c 'echo {HIDDEN}; ({child}) &'").read() == HIDDEN
        assert time.monotonic() - started < 15

    @pytest.mark.parametrize(
        "command",
        [
            f"yes {HIDDEN}",
            "cat /dev/zero",
            f"sh -c 'echo {HIDDEN}; exec cat /dev/zero'",
            "sh -c 'exec cat /dev/zero & sleep 20'",
        ],
    )
    def test_output_without_end_is_refused(self, command: str) -> None:
        started = time.monotonic()
        assert refused(Secret.printed_by(command)).endswith("printed more than 65,536 bytes.")
        assert time.monotonic() - started < 15

    @pytest.mark.parametrize(
        "command",
        ["sleep 20", f"sh -c 'echo {HIDDEN}; exec sleep 20'", "sh -c 'exec >&-; exec sleep 20'"],
    )
    def test_one_that_does_not_end_is_refused(
        self, command: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(secrets, "_TIMEOUT", 0.3)
        assert refused(Secret.printed_by(command)).endswith("did not end within 0.3 s.")

    def test_one_that_is_refused_does_not_go_on(self, tmp_path: Path) -> None:
        alive = tmp_path / "alive"
        refused(Secret.printed_by(f"sh -c 'yes; sleep 0.3; touch {alive}'"))
        time.sleep(0.6)
        assert not alive.exists()

    @pytest.mark.parametrize("command", ["true", "echo", r"printf '\r\n'", r"printf '\nsecond'"])
    def test_nothing_is_no_password(self, command: str) -> None:
        assert refused(Secret.printed_by(command)).endswith(" printed nothing.")

    def test_a_nul_is_no_part_of_a_password(self) -> None:
        assert "has a NUL" in refused(Secret.printed_by(rf"printf '{HIDDEN}\0'"))

    @pytest.mark.parametrize("end", ["", r"\n", r"\r\n", r"\nsecond line\n"])
    def test_the_first_line_is_the_password(self, end: str) -> None:
        assert Secret.printed_by(f"printf ' pass wörd {end}'").read() == " pass wörd "

    def test_much_beside_the_password_is_read_to_its_end(self) -> None:
        assert python(f"print('{HIDDEN}'); print('x' * 60_000)").read() == HIDDEN

    def test_it_has_no_standard_input(self) -> None:
        assert "printed nothing" in refused(Secret.printed_by("cat"))


class TestFile:
    @pytest.mark.parametrize("content", ["", "\n", "\r\n", "\n\n"])
    def test_nothing_is_no_password(self, content: str, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.write_bytes(content.encode())
        assert refused(Secret.in_file(file)) == (f"The password file {file} is empty.")

    def test_a_file_without_end_is_refused(self) -> None:
        assert refused(Secret.in_file(Path("/dev/zero"))) == (
            "The password file /dev/zero has more than 65,536 bytes."
        )

    def test_a_folder_is_refused(self, tmp_path: Path) -> None:
        assert refused(Secret.in_file(tmp_path)).endswith(": Is a directory.")

    def test_a_name_that_is_too_long_is_refused(self) -> None:
        assert refused(Secret.in_file(Path("x" * 5000))).endswith(": File name too long.")

    def test_a_named_pipe_is_read_to_its_end(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)

        def write() -> None:
            with pipe.open("w") as file:
                for part in (HIDDEN[:3], HIDDEN[3:] + "\n"):
                    file.write(part)
                    file.flush()
                    time.sleep(0.1)

        writer = threading.Thread(target=write)
        writer.start()
        secret = Secret.in_file(pipe)
        assert secret.read() == HIDDEN
        writer.join()
        assert secret.read() == HIDDEN, "what a pipe had is lost to the second reading"

    def test_what_a_process_substitution_printed_is_read_again_and_again(self) -> None:
        reading, writing = os.pipe()
        os.write(writing, f"{HIDDEN}\n".encode())
        os.close(writing)
        try:
            secret = Secret.in_file(Path(f"/dev/fd/{reading}"))
            assert [secret.read() for _ in range(3)] == [HIDDEN] * 3
        finally:
            os.close(reading)
        assert secret.read() == HIDDEN

    def test_a_file_is_read_again_since_it_may_have_changed(self, tmp_path: Path) -> None:
        file = tmp_path / "password"
        secret = Secret.in_file(file)
        for password in ("first", "second"):
            file.write_text(password)
            assert secret.read() == password

    def test_a_named_pipe_to_which_nothing_writes_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(secrets, "_TIMEOUT", 0.3)
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        assert refused(Secret.in_file(pipe)).endswith(": nothing came within 0.3 s.")
