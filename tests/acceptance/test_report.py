"""What the store says, as people and programs read it."""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dlmon.config.settings import load_settings
from tests.support.dlmon import Dlmon
from tests.unit.analysis.stores import Download, Events

_WHEN = ("--since", "2026-03-01", "--until", "2026-03-02")


@pytest.fixture(scope="module")
def dlmon(tmp_path_factory: pytest.TempPathFactory) -> Dlmon:
    """With a store of 600 simulated downloads."""
    folder = tmp_path_factory.mktemp("report")
    settings = load_settings({"broker": f"sqlite:///{folder}/broker.db"}, {})
    command = Dlmon(settings, folder, DLMON_STORE="sqlite:///fleet.db")
    start = "2026-03-01T00:00:00Z"
    command("produce", "--rate", "0", "--count", "600", "--seed", "7", "--start", start)
    consumed = command("consume", "--until-empty")
    assert "600 stored" in consumed.stdout + consumed.stderr, consumed
    return command


_COLUMNS = (
    "count",
    "bytes",
    "speeds",
    "p50_mbit",
    "p10_mbit",
    "p90_mbit",
    "share_below",
    "size_p50_bytes",
)


def numbers(row: dict[str, Any]) -> list[Any]:
    """What a row says, in the order of the table of a page."""
    return [row["label"], *(row[name] for name in _COLUMNS)]


def html_rows(document: str) -> list[list[Any]]:
    """The same of each row of a page, the total too."""
    table = document[document.index("<tbody>") : document.index("</table>")]
    rows = []
    for row in re.findall("<tr>(.*?)</tr>", table):
        label = html.unescape(re.findall('<th scope="row">(.*?)</th>', row)[0])
        cells = re.findall("<td>(.*?)</td>", row)
        values = [re.match('<data value="(.*?)">', cell) for cell in cells]
        rows.append([label, *(json.loads(value[1]) if value else None for value in values)])
    return rows


@pytest.mark.parametrize("by", ["hour", "day", "country", "continent", "cell", "size"])
def test_every_format_has_the_same_numbers(dlmon: Dlmon, by: str) -> None:
    printed = {
        output: dlmon("report", *_WHEN, "--by", by, "--threshold", "25", "--output", output).stdout
        for output in ("text", "csv", "ndjson", "json", "html")
    }
    document = json.loads(printed["json"])
    rows = document["rows"]
    assert document["total"]["count"] == 600
    assert rows == [json.loads(line) for line in printed["ndjson"].splitlines()]
    assert [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in rows
    ] == [*csv.DictReader(io.StringIO(printed["csv"]))]
    page = html_rows(printed["html"])
    assert page == [numbers(row) for row in [*rows, document["total"]]]
    lines = printed["text"].splitlines()[1:]
    for row, line in zip(rows, lines, strict=False):
        assert line.startswith(row["label"])
        assert f"{row['count']:,}" in line
        assert row["p50_mbit"] is None or f"{row['p50_mbit']:.3g}" in line.replace(",", "")
    assert "\x1b" not in "".join(printed.values())


@pytest.mark.parametrize("by", ["hour", "country", "cell"])
def test_a_page_asks_for_nothing_and_runs_nothing(dlmon: Dlmon, by: str) -> None:
    page = dlmon("report", *_WHEN, "--by", by, "--output", "html").stdout
    policy = re.search('Content-Security-Policy" content="(.*?)"', page)
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy is not None
    assert policy[1].split("; ")[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    for asks in ("<script", "<link", "<img", "<iframe", " style=", " src=", " href=", "url("):
        assert asks not in page, asks
    svg = re.findall("<svg.*?</svg>", page, re.DOTALL)
    for drawing in svg:
        ElementTree.fromstring(drawing)  # noqa: S314  (our own)
    assert "Median speed by country" in page
    assert len(svg) >= 2
    assert "downloads, median" in page  # of a country, in words


def test_a_page_without_downloads_says_what_there_is(dlmon: Dlmon) -> None:
    when = ("--since", "2020-01-01", "--until", "2020-02-01")
    page = dlmon("report", *when, "--output", "html").stdout
    assert "the store has some from 2026-03-01T00:00Z" in page
    assert "<figure>" not in page


def test_events_are_written_as_parquet_all_of_them_or_none(dlmon: Dlmon, tmp_path: Path) -> None:
    arro3 = pytest.importorskip("arro3.io", reason="pip install 'dlmon[parquet]'")
    path = tmp_path / "events.parquet"
    command = ("report", *_WHEN, "--output", "parquet", "--events", "--to", str(path))
    done = dlmon(*command)
    assert (done.returncode, done.stdout) == (0, "")
    assert "600 events in" in done.stderr
    table = arro3.read_parquet(str(path)).read_all()
    exact = json.loads(dlmon("report", *_WHEN, "--exact", "--output", "json").stdout)["total"]
    sizes = [size.as_py() for size in table["file_size"]]
    assert (table.num_rows, sum(sizes)) == (exact["count"], exact["bytes"])
    again = dlmon(*command, "--where", "continent=EU")
    assert "exists already" in again.stderr
    assert again.returncode != 0
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    missing = dlmon(*command[:-1], str(tmp_path / "missing" / "events.parquet"))
    assert "Cannot write" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_exact_agrees_in_counts_and_within_a_fortieth_in_percentiles(dlmon: Dlmon) -> None:
    arguments = ("report", *_WHEN, "--by", "continent", "--output", "json")
    summarised, exact = (json.loads(dlmon(*arguments, *more).stdout) for more in ((), ("--exact",)))
    assert len(summarised["rows"]) > 3
    for some, others in zip(summarised["rows"], exact["rows"], strict=True):
        for name, value in others.items():
            if name in ("key", "label", "count", "bytes", "speeds") or value is None:
                assert some[name] == value
            else:
                assert some[name] == pytest.approx(value, rel=0.026)


def test_on_a_terminal_rows_have_bars(dlmon: Dlmon) -> None:
    with dlmon.on_terminal("report", *_WHEN, "--by", "size", columns=110) as terminal:
        terminal.expect_exact("p10 ● p90")
        terminal.expect_exact("●")
        terminal.wait()
        assert terminal.exitstatus == 0


def test_anomalies_are_the_same_in_every_format(dlmon: Dlmon) -> None:
    path = dlmon.folder / "slow.db"
    now = datetime(2026, 3, 8, 10, tzinfo=UTC)
    Events(path).add(
        *(
            Download(at=now - timedelta(weeks=week), speed=(5 if week else 2) * (1 + number / 50))
            for week in range(3)
            for number in range(100)
        )
    )
    command = ("report", "--store", f"sqlite:///{path}", "--since", "2026-03-08", "--until")
    printed = {
        output: dlmon(*command, "2026-03-09", "--anomalies", "--output", output)
        for output in ("text", "csv", "ndjson", "json")
    }
    (row,) = json.loads(printed["json"].stdout)["anomalies"]
    assert row == json.loads(printed["ndjson"].stdout)
    assert [*csv.DictReader(io.StringIO(printed["csv"].stdout))] == [
        {name: str(value) for name, value in row.items()}
    ]
    assert (row["kind"], row["since"], row["ratio"]) == (
        "slow",
        "2026-03-08T10:00Z",
        pytest.approx(0.4, rel=0.06),
    )
    head, line = printed["text"].stdout.splitlines()
    assert head.split()[:3] == ["what", "where", "since"]
    assert line.startswith("slow  the world  2026-03-08T10:00Z  2026-03-08T11:00Z")
    assert "the same hour of the last four weeks" in printed["text"].stderr


def test_without_history_there_are_no_anomalies_and_it_says_so(dlmon: Dlmon) -> None:
    done = dlmon("report", *_WHEN, "--anomalies")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Nothing to compare with" in done.stderr


def test_a_map_in_a_pipe_has_digits(dlmon: Dlmon) -> None:
    lines = dlmon("report", *_WHEN, "--map").stdout.splitlines()
    assert lines[-1].startswith("Median in Mbit/s: 1 below 5")
    assert len(lines) > 15
    assert any("+" in line for line in lines[-17:-1])


def test_where_there_is_nothing_it_says_what_there_is(dlmon: Dlmon) -> None:
    done = dlmon("report", "--since", "2020-01-01", "--until", "2020-02-01")
    assert (done.returncode, done.stdout) == (0, "")
    assert "No downloads from 2020-01-01T00:00Z to 2020-02-01T00:00Z" in done.stderr
    assert "the store has some from 2026-03-01T00:00Z" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--store", "sqlite:///none.db"), 4, "There is no store"),
        (("--store", "stdout"), 2, "Events can be read from SQLite"),
        (("--store", "clickhouse://db/x", "--anomalies"), 2, "and not ClickHouse"),
        (("--by", "city"), 2, "--by: expected one of hour"),
        (("--output", "xml"), 2, "--output xml: choose one of text"),
        (("--anomalies", "--output", "html"), 2, "--anomalies comes as text, csv, ndjson or json"),
        (("--output", "parquet"), 2, "--output parquet --events --to FILE"),
        (("--output", "parquet", "--events", "--to", "-"), 2, "and not to stdout: name one"),
        (("--output", "html", "--to", "new.html"), 2, "write html to a file by > FILE"),
        (("--map", "--output", "csv"), 2, "--map goes with --output text"),
        (("--anomalies", "--exact"), 2, "--anomalies looks everywhere"),
        (("--threshold", "nan"), 2, "--threshold: expected a number"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    dlmon: Dlmon, arguments: tuple[str, ...], status: int, message: str
) -> None:
    done = dlmon("report", *arguments)
    assert done.returncode == status
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (Path(dlmon.folder) / "none.db").exists()
