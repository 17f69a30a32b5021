"""What the image is built of: pinned with hashes, and what pyproject.toml asks for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
ASKED_FOR = {
    "image.txt": [
        *PROJECT["project"]["dependencies"],
        *(
            asked
            for extra in ("clickhouse", "postgres", "webhook", "test")
            for asked in EXTRAS[extra]
        ),
    ],
    "build.txt": PROJECT["build-system"]["requires"],
}
PIN = re.compile(r"[\w.-]+==[\w.]+( ; [^\\]+?)?( +--hash=sha256:[0-9a-f]{64})+")


@pytest.mark.parametrize("name", ASKED_FOR)
def test_the_lock_has_all_that_pyproject_asks_for_in_versions_that_it_admits(name: str) -> None:
    pins = _pins(name)
    asked = [Requirement(text) for text in ASKED_FOR[name]]
    others = [wanted for wanted in asked if wanted.name != "dlmon"]
    assert others
    for wanted in others:
        pin = pins.get(canonicalize_name(wanted.name))
        assert pin, f"{wanted.name} is not locked: run locks/update"
        assert wanted.specifier.contains(pin), f"{wanted} is locked at {pin}: run locks/update"


@pytest.mark.parametrize("name", ASKED_FOR)
def test_each_line_of_the_lock_is_one_version_with_its_hashes(name: str) -> None:
    for entry in _entries(name):
        assert PIN.fullmatch(entry), entry


def _pins(name: str) -> dict[str, str]:
    pairs = (entry.split()[0].split("==") for entry in _entries(name))
    return {canonicalize_name(package): version for package, version in pairs}


def _entries(name: str) -> list[str]:
    text = (REPOSITORY / "locks" / name).read_text("utf-8").replace("\\\n", "")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
