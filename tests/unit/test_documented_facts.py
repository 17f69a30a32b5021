"""What the documentation says of names and limits is what the code has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

import dlmon
from dlmon.brokers.rabbitmq.topology import queue_arguments
from dlmon.cli import app
from dlmon.config import values
from dlmon.config.names import Names
from dlmon.config.settings import Settings
from dlmon.errors import ExitCode
from dlmon.messages import PACKED_IN, PLACE, PUBLISHED_AT, ROUTING_KEYS, Queue
from dlmon.monitoring.observers import ConsumeObserver, ProduceObserver
from dlmon.monitoring.prometheus import ConsumerMetrics, ProducerMetrics
from dlmon.rejects import headers
from dlmon.rejects.export import to_record
from dlmon.validation import violations
from dlmon.validation.violations import Violation
from tests.support.documentation import DOCUMENTS, REPOSITORY, words
from tests.support.rejections import rejection
from tests.unit.test_architecture import LAYERS

GROUP: Any = typer.main.get_command(app)
SETTINGS = frozenset(values.SETTINGS)
TEXTS = {one.relative_to(REPOSITORY).as_posix(): one.read_text("utf-8") for one in DOCUMENTS}
OTHERS = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "benchmarks/README.md")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def section(document: str, heading: str) -> str:
    """What stands below a heading, up to the next one."""
    parts = re.split(r"^#+ (.+)\n", TEXTS[document], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[heading]


def first_column(table: str) -> set[str]:
    """The names in the first column of a table."""
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")]
    return words(cells, r"`([^`]+)`")


def anchors(document: Path) -> set[str]:
    """The headings of a document, as links spell them."""
    headings = HEADING.findall(document.read_text("utf-8"))
    return {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}


def test_readme_shows_a_result_on_its_first_screen_and_has_at_most_250_lines() -> None:
    lines = TEXTS["README.md"].splitlines()
    assert len(lines) <= 250
    assert any("produced = " in line and "stored + " in line for line in lines[16:30])


def test_every_option_in_the_documentation_exists() -> None:
    parameters = [*GROUP.params, *(p for one in GROUP.commands.values() for p in one.params)]
    exist = {option for one in parameters for option in (*one.opts, *one.secondary_opts)}
    # Of docker, rabbitmqctl, pip, gzip and timeout.
    others = {
        "--apply-to",
        "--build",
        "--help",
        "--keep",
        "--preserve-status",
        "--priority",
        "--scale",
        "--user",
    }
    assert words(TEXTS.values(), OPTION.pattern) - exist <= others


def test_every_option_is_in_the_documentation() -> None:
    settings_of = {f"--{name.replace('_', '-')}" for name in SETTINGS}
    exist = {
        option
        for command in GROUP.commands.values()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and option != "--help"
    }
    assert exist - settings_of <= words(TEXTS.values(), OPTION.pattern)


def test_every_setting_is_in_the_table_of_settings_and_no_other() -> None:
    assert first_column(section("docs/configuration.md", "Settings")) == set(SETTINGS)


def test_the_defaults_of_settings_are_those_of_the_code() -> None:
    table = section("docs/configuration.md", "Settings")
    defaults = Settings()
    for setting in ("namespace", "max_event_bytes", "log_level"):
        row = re.search(rf"^\| `{setting}` \| `?([^|`]+)`? \|", table, re.MULTILINE)
        assert row, setting
        assert row[1].strip() == str(getattr(defaults, setting))


def test_every_code_of_dlmons_own_is_in_the_table_of_codes_and_no_other() -> None:
    codes = {
        value
        for name, value in vars(violations).items()
        if name.isupper() and isinstance(value, str) and re.fullmatch("[a-z0-9-]+", value)
    }
    assert first_column(section("docs/rejects.md", "Codes")) == codes


def test_every_header_is_in_the_table_of_headers_and_no_other() -> None:
    names = {value for value in vars(headers).values() if str(value).startswith("dlmon-")}
    assert first_column(section("docs/rejects.md", "Headers")) == names | {
        PUBLISHED_AT,
        PACKED_IN,
        PLACE,
    }


@pytest.mark.parametrize("queue", Queue)
def test_the_arguments_of_queues_are_those_that_are_declared(queue: Queue) -> None:
    table = section("docs/rabbitmq.md", "Topology")
    row = re.search(rf"^\| `dlmon\.{queue}` \| `{ROUTING_KEYS[queue]}` \| (.+) \|$", table, re.M)
    assert row
    documented = dict(re.findall(r"`(x-[a-z-]+)` ([\w.-]+)", row[1]))
    declared = queue_arguments(Names(), queue)
    assert documented | {"x-queue-type": "quorum"} == {k: str(v) for k, v in declared.items()}


def test_every_field_of_an_export_is_listed_and_no_other() -> None:
    fields, _, _ = section("docs/rejects.md", "Exports").partition("\n\n")
    text = to_record(rejection(b"{}", Violation("type", "", "wrong")))
    binary = to_record(rejection(b"\xff", Violation("not-utf8", "", "wrong")))
    listed = words([fields], r"`([a-z_0-9]+)`")
    assert listed == set(text) | set(binary)


def test_every_exit_code_is_in_the_table_of_exit_codes_and_no_other() -> None:
    codes = re.findall(r"^\| (\d+) \|", section("docs/commands.md", "Exit codes"), re.MULTILINE)
    assert [int(code) for code in codes] == sorted(ExitCode)


def test_every_metric_is_in_the_table_of_metrics_and_no_other() -> None:
    exist = set()
    for monitored in (
        ConsumerMetrics(ConsumeObserver(), None),
        ProducerMetrics(ProduceObserver(), None),
    ):
        for family in monitored.collect():
            total = "_total" if family.type == "counter" else ""
            exist.add(f"{family.name}{total}")
    documented = first_column(section("docs/operations.md", "Metrics"))
    assert {name.partition("{")[0] for name in documented} == exist | {"dlmon_reconnects_total"}


@pytest.mark.parametrize("name", [*TEXTS, *OTHERS])
def test_every_link_leads_somewhere(name: str) -> None:
    document = REPOSITORY / name
    for target in LINK.findall(document.read_text("utf-8")):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), f"{name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{name} links to {target}"


def test_every_path_on_the_page_about_architecture_exists() -> None:
    package = Path(dlmon.__file__).parent
    # Diagrams leave out the package; a line that ends in a slash goes on below.
    named = words([TEXTS["docs/architecture.md"]], r"(?<![\w/.-])(\w+/[\w/.-]*\w|\w+\.py)")
    roots = (REPOSITORY, package.parent, package, package / "commands")
    missing = {path for path in named if not any((root / path).exists() for root in roots)}
    assert len(named) > 50
    assert missing == {"I/O"}


def test_the_page_about_architecture_has_the_layers_that_are_enforced() -> None:
    documented: list[set[str]] = []
    for line in re.findall(r"^[a-z_]+ {2,}.+$", section("docs/architecture.md", "Layers"), re.M):
        name, _, what = line.partition(" ")
        if what.strip().startswith("beside "):
            documented[-1].add(name)
        else:
            documented.append({name})
    assert documented == [set(layer) for layer in LAYERS if layer != {"__main__"}]


@pytest.mark.parametrize("name", [*TEXTS, *OTHERS])
def test_every_path_in_the_documentation_exists(name: str) -> None:
    text = (REPOSITORY / name).read_text("utf-8")
    folders = "dlmon|tests|docs|schemas|locks|examples|benchmarks"
    package = Path(dlmon.__file__).parent
    named = words([text], rf"`((?:{folders})/[\w/.-]+)`") - {"dlmon/schemas"}
    roots = (REPOSITORY, package.parent)
    ours = {path for path in named if "NAME" not in path}
    if not (REPOSITORY / "examples" / "secrets").exists():  # not in the image
        ours -= {path for path in ours if path.startswith("examples/secrets/")}
    assert {path for path in ours if not any((root / path).exists() for root in roots)} == set()


def test_every_name_on_the_page_about_architecture_is_in_the_file_beside_it() -> None:
    package = Path(dlmon.__file__).parent
    pairs = re.findall(r"`(dlmon/[\w/]+\.py)`[^`|\n]{0,3}`([\w.]+)`", TEXTS["docs/architecture.md"])
    assert len(pairs) > 10
    for path, name in pairs:
        text = (package.parent / path).read_text("utf-8")
        assert all(re.search(rf"\b{part}\b", text) for part in name.split(".")), (path, name)
