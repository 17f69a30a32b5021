"""The files of the page: what they are, where they come from, and that their types fit."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dlmon.analysis.geography import world

_ASSETS = Path(__file__).parents[2] / "dlmon" / "web" / "assets"
_VENDORED = json.loads((_ASSETS / "uplot.json").read_text())
_FILES = _VENDORED["files"]
_LARGEST = 270_000  # bytes of all files that a browser loads


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", _FILES)
def test_uplot_is_what_its_notes_say(name: str) -> None:
    assert _sha256(_ASSETS / name) == _FILES[name]["sha256"]


@pytest.mark.browser
@pytest.mark.parametrize("name", _FILES)
def test_uplot_is_that_of_its_npm_package(node_modules: Path, name: str) -> None:
    package = node_modules / _VENDORED["package"]
    described = json.loads((package / "package.json").read_text())
    assert described["version"] == _VENDORED["version"]
    assert described["license"] == _VENDORED["license"]
    assert _sha256(package / _FILES[name]["of"]) == _FILES[name]["sha256"]


@pytest.mark.browser
def test_types_in_the_modules_fit(node_modules: Path) -> None:
    done = subprocess.run(
        ["node", node_modules / "typescript" / "bin" / "tsc", "-p", node_modules.parent],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    assert done.returncode == 0


def test_each_country_of_the_map_is_one_that_places_have() -> None:
    root = ElementTree.fromstring((_ASSETS / "world.svg").read_text())  # noqa: S314  (our own file)
    paths = root.findall("{http://www.w3.org/2000/svg}path")
    codes = [path.attrib["id"] for path in paths]
    assert len(codes) == len({*codes}) > 170
    assert {*codes} <= {*world().names}


def test_all_that_a_browser_loads_is_small() -> None:
    sizes = {path.name: path.stat().st_size for path in _ASSETS.iterdir()}
    del sizes["types.d.ts"]
    assert sum(sizes.values()) < _LARGEST


def test_no_file_of_the_page_names_another_origin() -> None:
    addresses = {
        address
        for path in _ASSETS.iterdir()
        if path.suffix in (".html", ".js", ".css", ".svg") and not path.name.startswith("uplot")
        for address in re.findall(r"https?://[^\s\"'`]+", path.read_text())
    }
    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_every_module_is_short_enough_to_read() -> None:
    for path in _ASSETS.glob("*.js"):
        if not path.name.startswith("uplot"):
            assert len(path.read_text().splitlines()) <= 400, path.name


def test_no_module_makes_markup_of_text() -> None:
    for path in _ASSETS.glob("*.js"):
        if not path.name.startswith("uplot"):
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", path.read_text()
            ), path.name
