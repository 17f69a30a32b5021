"""The reports of `validate-file` for other programs."""

from __future__ import annotations

import io
import json
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlmon.commands.validate_file import Counts, FileResult, Result
from dlmon.console.reports import Output, machine_report, spool
from dlmon.console.reports.paths import RepositoryPaths
from dlmon.console.reports.sarif import MAX_RESULTS
from dlmon.console.reports.spool import Spool
from dlmon.errors import FileError
from dlmon.event_files.block import Position
from dlmon.linting.findings import Finding, Snippet

FINDING = Finding(
    file="events.ndjson",
    position=Position(1, 2),
    end=Position(1, 3),
    code="type",
    path="/a",
    reason="no number",
    event_id=None,
    snippet=Snippet("", 0, 0),
)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository, reached through a link, with the current folder below its root."""
    for folder in ("repository/in/deep", "outside"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "repository" / "in" / "link").symlink_to("/dev/null")
    (tmp_path / "repository" / "to-deep").symlink_to("in/deep")
    (tmp_path / "workspace").symlink_to("repository")
    monkeypatch.chdir(tmp_path / "repository" / "in")
    return tmp_path / "workspace"


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("a.json", "in/a.json"),
        ("./a.json", "in/a.json"),
        ("deep/../a.json", "in/a.json"),
        ("../a b%.json", "a b%.json"),
        ("../to-deep/../a.json", "in/a.json"),
        ("link", "in/link"),
        ("missing/../a.json", "in/a.json"),
        ("<stdin>", "<stdin>"),
    ],
)
def test_paths_are_relative_to_the_repository(workspace: Path, file: str, path: str) -> None:
    paths = RepositoryPaths(workspace)
    assert paths.of(file) == path
    if not file.startswith("<"):
        assert paths.of(str(Path.cwd() / file)) == path


def test_a_path_outside_of_the_repository_is_absolute(workspace: Path) -> None:
    outside = workspace.parent / "outside" / "a.json"
    assert RepositoryPaths(workspace).of("../../outside/a.json") == str(outside)


def report_on(output: Output, findings: int, result: Result, root: Path) -> tuple[str, int]:
    """A report on one file, and how many findings it left out."""
    file = io.StringIO()
    report = machine_report(output, file, root)
    for start in range(0, findings, 700):
        report.on_findings([FINDING] * min(700, findings - start))
    report.on_file_end(FileResult(FINDING.file, Counts(), 1))
    report.on_end(result)
    return file.getvalue(), report.omitted


@pytest.mark.parametrize("findings", [0, MAX_RESULTS, MAX_RESULTS + 1, MAX_RESULTS + 999])
@pytest.mark.slow
def test_sarif_has_no_more_results_than_github_takes_and_says_so(
    tmp_path: Path, findings: int
) -> None:
    text, omitted = report_on(Output.SARIF, findings, Result(), tmp_path)
    (run,) = json.loads(text)["runs"]
    assert omitted == max(0, findings - MAX_RESULTS)
    assert len(run["results"]) == findings - omitted
    (invocation,) = run["invocations"]
    notes = [note["message"]["text"] for note in invocation["toolExecutionNotifications"]]
    assert notes == ([f"{omitted} more findings left out: GitHub takes 25,000."] if omitted else [])


def test_sarif_names_files_outside_of_the_repository_by_a_url(workspace: Path) -> None:
    os.chdir(workspace.parent / "outside")
    text, _ = report_on(Output.SARIF, 1, Result(), workspace)
    location = json.loads(text)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == (Path.cwd() / FINDING.file).as_uri()


@pytest.mark.parametrize(
    "result", [Result(interrupted=True), Result(error=FileError("no room"))], ids=["stop", "error"]
)
def test_an_unfinished_check_is_never_called_complete(tmp_path: Path, result: Result) -> None:
    sarif, _ = report_on(Output.SARIF, 1, result, tmp_path)
    assert json.loads(sarif)["runs"][0]["invocations"][0]["executionSuccessful"] is False
    document, _ = report_on(Output.JSON, 1, result, tmp_path)
    assert json.loads(document)["summary"]["interrupted"] is True


@pytest.fixture(params=["room", "no folder", "no room", "no descriptor"])
def temporary_folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Less and less room for temporary files."""
    monkeypatch.setattr(spool, "MAX_IN_MEMORY", 100)
    kind, before = request.param, None
    monkeypatch.setattr(
        "tempfile.tempdir", str(tmp_path / "missing" if "fold" in kind else tmp_path)
    )
    if kind == "no room":
        before, number = resource.getrlimit(resource.RLIMIT_FSIZE), resource.RLIMIT_FSIZE
        resource.setrlimit(number, (1000, before[1]))
    elif kind == "no descriptor":
        before, number = resource.getrlimit(resource.RLIMIT_NOFILE), resource.RLIMIT_NOFILE
        with (tmp_path / "next").open("w") as file:
            descriptor = file.fileno()
        resource.setrlimit(number, (descriptor, before[1]))
    yield kind
    if before is not None:
        resource.setrlimit(number, before)


def test_a_spool_keeps_all_text_with_and_without_room(temporary_folder: str) -> None:
    assert temporary_folder
    texts = [f"{number} ☃ é\n" for number in range(2_000)]
    with Spool() as kept:
        for few in (texts, texts[:3], texts):
            for text in few:
                kept.write(text)
            assert "".join(kept.drain()) == "".join(few)
        assert list(kept.drain()) == []
