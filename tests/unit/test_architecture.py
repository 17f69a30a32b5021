"""Which module may import what, held by walking the imports of every file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import dlmon
from tests.support.import_graph import Import, Package, cycles, levels

# A package may import from the layers below its own, and from nothing beside it.
LAYERS: tuple[frozenset[str], ...] = tuple(
    map(
        frozenset,
        (
            {"__main__"},
            {"cli"},
            {"console", "web", "client"},
            {"commands"},
            {"analysis"},
            {"monitoring"},
            {"linting", "rejects", "sources"},
            {"unpacking"},
            {"stores", "brokers", "event_files"},
            {"validation", "config"},
            {"runtime"},
            {"errors"},
            {"event", "messages"},
        ),
    )
)


@pytest.fixture(scope="module")
def package() -> Package:
    return Package(Path(dlmon.__file__).parent)


def test_the_walk_sees_what_is_there(package: Package) -> None:
    assert {
        Import("dlmon.cli", "typer", typing_only=False, at_top=True),
        Import("dlmon.rejects.groups", "dlmon.rejects.rejection", typing_only=True, at_top=True),
        Import("dlmon.validation.schema", "jsonschema", typing_only=False, at_top=False),
    } <= {*package.imports}


def test_every_package_has_its_layer(package: Package) -> None:
    (*names,) = [name for layer in LAYERS for name in layer]
    assert sorted(names) == sorted(package.parts)


def test_dependencies_point_down_and_never_to_a_sibling(package: Package) -> None:
    level = {name: number for number, names in enumerate(LAYERS) for name in names}
    wrong = {
        (importer, imported)
        for importer, all_imported in package.graph_of_parts().items()
        for imported in all_imported
        if level[imported] <= level[importer]
    }
    assert wrong == set()


def test_no_module_needs_one_that_needs_it(package: Package) -> None:
    assert cycles(package.graph()) == []


def test_one_file_knows_pika(package: Package) -> None:
    (file,) = package.importers("pika")
    assert file.startswith("dlmon.brokers.rabbitmq")


def test_arro3_is_known_to_the_writer_of_parquet_alone(package: Package) -> None:
    assert package.importers("arro3") == {"dlmon.commands.event_table"}


def test_jq_is_known_to_the_process_of_patches_alone(package: Package) -> None:
    assert package.importers("jq") == {"dlmon.rejects.patch_process"}


@pytest.mark.parametrize(
    ("library", "module"),
    [
        ("psycopg", "dlmon.stores.postgresql"),
        ("clickhouse_connect", "dlmon.stores.clickhouse"),
        ("httpx", "dlmon.stores.webhook"),
    ],
)
def test_a_library_of_an_extra_is_known_to_one_store_that_is_loaded_when_it_is_chosen(
    package: Package, library: str, module: str
) -> None:
    assert all(
        name == module or name.startswith(f"{module}.") for name in package.importers(library)
    )
    loading = {
        (found.importer, found.at_top)
        for found in package.imports
        if found.imported == module and not found.importer.startswith(module)
    }
    assert loading == {("dlmon.stores", False)}


@pytest.mark.parametrize(
    ("library", "only"),
    [
        ("rich", "dlmon.console"),
        ("typer", "dlmon.cli"),
        ("starlette", "dlmon.web"),
        ("uvicorn", "dlmon.web"),
    ],
)
def test_only_one_package_knows(package: Package, library: str, only: str) -> None:
    importers = package.importers(library)
    outside = {
        module for module in importers if module != only and not module.startswith(f"{only}.")
    }
    assert importers
    assert outside == set()


def test_the_command_line_loads_typer_and_no_other_library(package: Package) -> None:
    loaded: set[str] = set()
    libraries: set[str] = set()
    waiting = {module for module in package.modules if module.split(".")[:2] == ["dlmon", "cli"]}
    while waiting:
        module = waiting.pop()
        loaded.add(module)
        for found in package.imports:
            if found.importer != module or found.typing_only or not found.at_top:
                continue
            if found.library != "dlmon":
                libraries.add(found.library)
            elif found.imported not in loaded:
                waiting.add(found.imported)
    assert libraries - sys.stdlib_module_names == {"typer"}
    assert "sqlite3" not in libraries


def test_cycles_and_levels_are_found_wherever_they_are(tmp_path: Path) -> None:
    files = {
        "a": "import p.b",
        "b": "if TYPE_CHECKING:\n    from p.c import x",
        "c": "def late():\n    from p import a, d",
        "d/__init__": "",
        "d/e": "try:\n    import p.f\nexcept ImportError:\n    import json",
        "f": "from p import __version__",
        "__init__": "__version__ = '1'",
    }
    for name, text in files.items():
        (tmp_path / "p" / name).with_suffix(".py").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).with_suffix(".py").write_text(text)
    package = Package(tmp_path / "p")
    assert cycles(package.graph()) == [["p.a", "p.b", "p.c"]]
    graph = package.graph_of_parts()
    assert graph == {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"f"}, "f": set()}
    assert levels(graph) == [["f"], ["d"], ["a", "b", "c"]]
