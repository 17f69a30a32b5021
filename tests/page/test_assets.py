"""The files of the page: what they are, where they come from, and that their types fit."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

import dlmon
from dlmon.analysis.geography import world

_ASSETS = Path(dlmon.__file__).parent / "web" / "assets"
_SOURCE = Path(__file__).parents[2] / "dlmon" / "web" / "page"  # no part of the wheel
_LARGEST = 200_000  # bytes of all files that a browser loads, before they are compressed


@pytest.mark.browser
def test_script_and_style_are_made_of_their_source(node_modules: Path, tmp_path: Path) -> None:
    build = ["npm", "run", "--silent", "build", "--prefix", str(node_modules.parent)]
    subprocess.run([*build, "--", f"--outdir={tmp_path}"], check=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {name: (_ASSETS / name).read_text() for name in ("page.js", "page.css")}


@pytest.mark.browser
def test_the_licence_of_uplot_comes_with_it(node_modules: Path) -> None:
    licence = (node_modules / "uplot" / "LICENSE").read_text()
    assert (_ASSETS / "uplot.LICENSE.txt").read_text() == licence
    version = json.loads((node_modules / "uplot" / "package.json").read_text())["version"]
    assert f"uPlot {version}" in (_ASSETS / "page.js").read_text()[:100]


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
    assert sum(path.stat().st_size for path in _ASSETS.iterdir()) < _LARGEST


def test_no_file_of_the_page_names_another_origin() -> None:
    addresses = {
        address
        for path in [*_SOURCE.iterdir(), *_ASSETS.glob("*.html"), *_ASSETS.glob("*.svg")]
        for address in re.findall(r"https?://[^\s\"'`]+", path.read_text())
    }
    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_every_module_is_short_enough_to_read() -> None:
    for path in _SOURCE.glob("*.js"):
        assert len(path.read_text().splitlines()) <= 400, path.name


def test_no_module_makes_markup_of_text() -> None:
    for path in _SOURCE.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", path.read_text()
        ), path.name
