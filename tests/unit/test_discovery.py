"""Which files of a folder are read, and what is said of those that cannot be."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from dlmon.event_files.discovery import DEFAULT_GLOBS, FoundPath, find_files
from tests.support.limited import limited


def files(folder: Path, *globs: str) -> list[str]:
    found = list(find_files([folder], globs or DEFAULT_GLOBS))
    assert [one.error for one in found if one.error] == []
    return [one.path.relative_to(folder).as_posix() for one in found]


def write(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_names_match_without_regard_to_case(tmp_path: Path) -> None:
    names = ["A.JSON", "B.NDJSON", "C.Jsonl.GZ", "d.json.zst", "E.XML"]
    write(tmp_path, names)
    assert files(tmp_path) == names[:4]
    assert files(tmp_path, "*.xml") == ["E.XML"]
    assert files(tmp_path, "*.Xml") == ["E.XML"]


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("**/*.ndjson", ["a.ndjson", "b/c.ndjson", "b/d/e.ndjson"]),
        ("b/**/*.ndjson", ["b/c.ndjson", "b/d/e.ndjson"]),
        ("**/d/**/*.ndjson", ["b/d/e.ndjson"]),
        ("**/b/**/d/**/*.ndjson", ["b/d/e.ndjson"]),
        ("b/*.ndjson", ["b/c.ndjson", "b/d/e.ndjson"]),
        ("**/a.*", ["a.ndjson"]),
    ],
)
def test_two_asterisks_match_any_number_of_folders(
    tmp_path: Path, glob: str, names: list[str]
) -> None:
    write(tmp_path, ["a.ndjson", "b/c.ndjson", "b/d/e.ndjson", "b/d/f.txt"])
    assert files(tmp_path, glob) == names


def test_only_regular_files_of_a_folder_are_taken(tmp_path: Path) -> None:
    write(tmp_path, ["a.json"])
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.json").symlink_to("a.json")
    (tmp_path / "link-to-fifo.json").symlink_to("fifo.json")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.json"))
        assert files(tmp_path) == ["a.json", "link.json"]


def test_a_file_that_is_named_is_taken_whatever_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    paths = [tmp_path / "fifo", tmp_path / "missing", Path("-"), tmp_path / ("x" * 300)]
    assert list(find_files(paths)) == [FoundPath(path) for path in paths]


def test_a_link_that_leads_nowhere_is_read_so_that_it_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to("nowhere")
    (tmp_path / "b.json").symlink_to("b.json")
    assert files(tmp_path) == ["a.json", "b.json"]


def test_a_folder_without_a_match_has_an_error(tmp_path: Path) -> None:
    write(tmp_path, ["a.txt"])
    (found,) = find_files([tmp_path])
    assert "without any file that --glob matches" in str(found.error)


def test_a_folder_that_cannot_be_searched_has_an_error_and_the_others_are_searched(
    tmp_path: Path,
) -> None:
    write(tmp_path, ["in/a.json", "in/closed/b.json", "in/open/c.json"])
    (tmp_path / "in" / "closed").chmod(0)
    done = limited(
        "from pathlib import Path\n"
        "from dlmon.event_files.discovery import find_files\n"
        "for one in find_files([Path('in'), Path('in/closed'), Path('in/closed/b.json')]):\n"
        "    print(one.path, one.error or 'found')\n",
        tmp_path,
    )
    assert done.stdout.splitlines() == [
        "in/a.json found",
        "in/closed Cannot read the folder in/closed: Permission denied.",
        "in/open/c.json found",
        "in/closed Cannot read the folder in/closed: Permission denied.",
        "in/closed/b.json found",  # opening it will say why it cannot be read
    ], done.stderr
