"""`examples/grafana-dashboard.json`: what it asks for exists, and it needs no internet."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlmon.monitoring.observers import ConsumeObserver
from dlmon.monitoring.prometheus import ConsumerMetrics
from tests.support.documentation import REPOSITORY

DASHBOARD: dict[str, Any] = json.loads(
    (REPOSITORY / "examples" / "grafana-dashboard.json").read_text("utf-8")
)
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
LABELS = {"code", "continent", "job", "le", "stage"}


def texts(value: object) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif isinstance(value, str):
        yield value


def test_every_query_is_about_a_metric_that_consume_has() -> None:
    there: set[str] = set()
    for family in ConsumerMetrics(ConsumeObserver(), None).collect():
        there |= {
            "counter": {f"{family.name}_total"},
            "histogram": {f"{family.name}_{part}" for part in ("bucket", "count", "sum")},
        }.get(family.type, {family.name})
    there.add("dlmon_reconnects_total")  # with a broker
    asked = {name for text in texts(DASHBOARD) for name in re.findall(r"\bdlmon_\w+", text)}
    assert {"dlmon_download_speed_megabits_bucket", "dlmon_reject_queue_messages"} <= asked
    assert asked <= there


def test_queries_group_by_labels_that_metrics_have() -> None:
    grouped = {
        label
        for expression in EXPRESSIONS
        for labels in re.findall(r"by \(([^)]*)\)", expression)
        for label in labels.split(", ")
    }
    assert {"continent", "le"} <= grouped <= LABELS


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: type `apt-get install prometheus`")
    rules = [
        {
            "record": f"dashboard:{number}",
            "expr": re.sub(r"\$__(rate_interval|range)", "5m", expression),
        }
        for number, expression in enumerate(EXPRESSIONS)
    ]
    file = tmp_path / "rules.yml"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_nothing_is_loaded_from_the_internet() -> None:
    assert not [text for text in texts(DASHBOARD) if "//" in text]
    (world,) = [panel for panel in PANELS if panel["type"] == "geomap"]
    base = world["options"]["basemap"]
    assert (base["type"], base["config"]["src"]) == ("geojson", "public/maps/countries.geojson")


def test_it_can_be_imported_beside_any_source_and_panels_do_not_overlap() -> None:
    assert "id" not in DASHBOARD
    assert DASHBOARD["schemaVersion"] >= 36
    source, job = DASHBOARD["templating"]["list"]
    assert (source["type"], job["type"]) == ("datasource", "query")
    squares: set[tuple[int, int]] = set()
    for panel in PANELS:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${source}"}, panel["title"]
        assert all(one["datasource"] == panel["datasource"] for one in panel["targets"])
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in own) < 24
        assert not own & squares, panel["title"]
        squares |= own
    numbers = [panel["id"] for panel in PANELS]
    assert len({*numbers}) == len(numbers)
