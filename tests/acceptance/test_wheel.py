"""The wheel is what people install: built from the sdist, in an environment with nothing else."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import venv
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest

import dlmon

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "dlmon" / "web" / "page"  # the source of what is in dlmon/web/assets

# In one process, so that the wheel is built and installed once.
pytestmark = [pytest.mark.wheel, pytest.mark.xdist_group("wheel")]


def run(*command: str | Path, cwd: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DLMON_", "PYTHON"))}
    environment["XDG_DATA_HOME"] = str(cwd)
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / "dlmon").is_dir() or importlib.util.find_spec("pip") is None:
        reason = "building a wheel needs a checkout, pip and the package index"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("dist")
    pip = (sys.executable, "-m", "pip", "--quiet")
    venv.create(folder / "hatch", with_pip=False)
    python = folder / "hatch/bin/python"
    run(*pip, "--python", python, "install", "hatchling", cwd=folder)
    run(python, "-m", "hatchling", "build", "--target", "sdist", "--directory", folder, cwd=ROOT)
    (sdist,) = folder.glob("dlmon-*.tar.gz")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", folder, sdist, cwd=folder)
    (built,) = folder.glob("dlmon-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The folder of programs of an environment with nothing but dlmon and what it needs."""
    folder = wheel.parent / "installed"
    venv.create(folder, with_pip=False)
    python = folder / "bin/python"
    run(sys.executable, "-m", "pip", "--quiet", "--python", python, "install", wheel, cwd=folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def files(wheel: Path) -> list[str]:
    with ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def metadata(wheel: Path, files: list[str]) -> Message:
    (name,) = (file for file in files if file.endswith(".dist-info/METADATA"))
    with ZipFile(wheel) as archive:
        return HeaderParser().parsestr(archive.read(name).decode())


def test_the_wheel_holds_the_package_with_its_schema_and_nothing_else(files: list[str]) -> None:
    checkout = {
        f"dlmon/{file.relative_to(ROOT / 'dlmon')}"
        for file in (ROOT / "dlmon").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and PAGE not in file.parents
    }
    schemas = {f"dlmon/schemas/{file.name}" for file in (ROOT / "schemas").iterdir()}

    assert "dlmon/py.typed" in files
    assert "dlmon/schemas/download_event.schema.json" in files
    assert {file for file in files if ".dist-info/" not in file} == checkout | schemas


def test_the_metadata_has_licence_version_and_description(
    files: list[str], metadata: Message
) -> None:
    assert metadata["License-Expression"] == "MIT"
    assert f"dlmon-{dlmon.__version__}.dist-info/licenses/LICENSE" in files
    assert (metadata["Name"], metadata["Version"]) == ("dlmon", dlmon.__version__)
    assert metadata["Requires-Python"] == ">=3.11"
    assert str(metadata.get_payload()).strip() == (ROOT / "README.md").read_text("utf-8").strip()


def test_the_installed_command_runs_and_judges_by_the_schema_inside(
    installed: Path, tmp_path: Path
) -> None:
    assert run(installed / "dlmon", "--version", cwd=tmp_path) == f"dlmon {dlmon.__version__}\n"

    events = run(
        *(installed / "dlmon", "produce", "--to-stdout", "--count", "3", "--rate", "0"),
        cwd=tmp_path,
    )
    (tmp_path / "events.ndjson").write_text(events)
    judged = run(installed / "dlmon", "validate-file", "events.ndjson", cwd=tmp_path)
    assert "3 valid" in judged


def test_the_installed_demo_needs_no_server(installed: Path, tmp_path: Path) -> None:
    run(installed / "dlmon", "demo", cwd=tmp_path)


def test_the_installed_package_has_no_tests_beside_it(installed: Path, tmp_path: Path) -> None:
    program = "import importlib.util as u, dlmon; print(dlmon.__file__, u.find_spec('tests'))"
    place, tests = run(installed / "python", "-c", program, cwd=tmp_path).split()
    assert Path(place).is_relative_to(installed.parent)
    assert tests == "None"
