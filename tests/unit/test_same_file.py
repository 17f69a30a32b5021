"""No file is both read and written, whatever it is called."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlmon.errors import UsageError
from dlmon.runtime.same_file import UsedFile, refuse_same_file, with_sqlite_files


def check(written: dict[str, Path], read: dict[str, Path]) -> None:
    refuse_same_file(
        [UsedFile(use, path) for use, path in written.items()],
        [UsedFile(use, path) for use, path in read.items()],
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "events.ndjson"
    path.write_text("{}\n")
    return path


def hard_link(file: Path) -> Path:
    other = file.with_name("hard link")
    other.hardlink_to(file)
    return other


def symbolic_link(file: Path) -> Path:
    other = file.with_name("symbolic link")
    other.symlink_to(file)
    return other


def by_a_detour(file: Path) -> Path:
    return file.parent / ".." / file.parent.name / file.name


def by_a_linked_folder(file: Path) -> Path:
    folder = file.parent / "folder"
    folder.symlink_to(file.parent)
    return folder / file.name


NAMES = (lambda file: file, hard_link, symbolic_link, by_a_detour, by_a_linked_folder)


@pytest.mark.parametrize("other_name", NAMES)
def test_a_file_is_the_same_by_whatever_name(file: Path, other_name: object) -> None:
    assert callable(other_name)
    other = other_name(file)
    with pytest.raises(UsageError, match=r"^--ledger and --from are the same file, .*: what is"):
        check({"--ledger": file}, {"--from": other})
    with pytest.raises(
        UsageError, match=r"^--receipt and --export are the same file, .*another\.$"
    ):
        check({"--receipt": file, "--export": other}, {})


@pytest.mark.parametrize("other_name", [lambda file: file, by_a_detour, by_a_linked_folder])
def test_two_outputs_that_do_not_exist_yet_are_compared_by_where_they_will_be(
    tmp_path: Path, other_name: object
) -> None:
    assert callable(other_name)
    new = tmp_path / "new"
    with pytest.raises(UsageError, match="are the same file"):
        check({"--receipt": new, "--export": other_name(new)}, {})
    assert not new.exists()


def test_a_dangling_link_is_the_file_that_it_would_make(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "new")
    with pytest.raises(UsageError, match="are the same file"):
        check({"--receipt": tmp_path / "new", "--export": link}, {})


def test_the_files_beside_a_database_belong_to_it(tmp_path: Path) -> None:
    database = tmp_path / "broker.db"
    for suffix in ("", "-wal", "-shm", "-journal"):
        output = tmp_path / f"broker.db{suffix}"
        output.touch()
        with pytest.raises(UsageError, match="--ledger and --broker are the same file"):
            refuse_same_file(
                [UsedFile("--ledger", output)], with_sqlite_files("--broker", database)
            )


def test_a_named_pipe_does_not_feed_itself(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="are the same file"):
        check({"--ledger": tmp_path / "pipe"}, {"--from": tmp_path / "pipe"})


def test_what_can_be_shared_is_shared(file: Path) -> None:
    null = Path(os.devnull)
    check({"--ledger": null, "--receipt": null}, {"--from": null})
    check({"--ledger": file.with_name("copy")}, {"--from": file})
    check({}, {"--from": file, "--schema": file})
    check({"--ledger": file.parent / "no folder" / "x"}, {"--from": file.parent / "missing"})


@pytest.mark.parametrize("redirection", ["> same", ">> same", "2> same", "2>> same", "1<> same"])
@pytest.mark.parametrize("read", ["same", "-", "/dev/stdin"])
def test_a_redirection_of_the_shell_is_a_written_file(
    tmp_path: Path, redirection: str, read: str
) -> None:
    (tmp_path / "same").write_text("{}\n")
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from dlmon.runtime.same_file import UsedFile, refuse_same_file\n"
        "from dlmon.errors import UsageError\n"
        "try: refuse_same_file([], [UsedFile('--from', Path(sys.argv[1]))])\n"
        "except UsageError: sys.exit(9)\n"
    )
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" < same {redirection}', "sh", sys.executable, "-c", program, read],
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 9


def test_stdout_and_stderr_may_be_one_file(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from dlmon.runtime.same_file import UsedFile, refuse_same_file\n"
        "ledger = UsedFile('--ledger', Path('ledger'))\n"
        "refuse_same_file([ledger], [UsedFile('--from', Path('-'))])\n"
    )
    with (tmp_path / "log").open("w") as log:
        subprocess.run(
            [sys.executable, "-c", program], stdout=log, stderr=log, cwd=tmp_path, check=True
        )
