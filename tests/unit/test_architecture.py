"""Which module may import what, held by walking the imports of every file."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import dlmon

PACKAGE = Path(dlmon.__file__).parent

# A package may import from the layers below its own, and from nothing beside it.
LAYERS: tuple[frozenset[str], ...] = tuple(
    map(
        frozenset,
        (
            {"__main__"},
            {"cli"},
            {"console"},
            {"commands", "client"},
            {"monitoring"},
            {"linting", "rejects", "sources"},
            {"stores", "brokers", "event_files"},
            {"validation", "config"},
            {"runtime"},
            {"errors"},
            {"event", "messages"},
        ),
    )
)


@dataclass(frozen=True)
class Import:
    importer: str
    imported: str
    typing_only: bool
    at_top: bool

    @property
    def library(self) -> str:
        return self.imported.partition(".")[0]


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in PACKAGE.rglob("*.py")}


def imports_in(
    module: str, node: ast.AST, typing_only: bool = False, at_top: bool = True
) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(module, alias.name, typing_only, at_top)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{module} has a relative import"
            assert child.module is not None
            for alias in child.names:
                name = f"{child.module}.{alias.name}"
                imported = name if name in MODULES else child.module
                yield Import(module, imported, typing_only, at_top)
        else:
            in_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            checks_types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            yield from imports_in(
                module, child, typing_only or checks_types, at_top and not in_function
            )


IMPORTS = [
    found
    for module, file in MODULES.items()
    for found in imports_in(module, ast.parse(file.read_text("utf-8")))
]


def room(module: str) -> str:
    """The package or module directly below `dlmon` that `module` is, or lies in."""
    return module.split(".")[1]


def importers(library: str) -> set[str]:
    return {found.importer for found in IMPORTS if found.library == library}


def test_the_walk_sees_what_is_there() -> None:
    assert Import("dlmon.cli", "typer", typing_only=False, at_top=True) in IMPORTS
    assert (
        Import("dlmon.rejects.groups", "dlmon.rejects.rejection", typing_only=True, at_top=True)
        in IMPORTS
    )
    assert (
        Import("dlmon.validation.schema", "jsonschema", typing_only=False, at_top=False) in IMPORTS
    )


def test_every_package_has_its_layer() -> None:
    (*names,) = [name for layer in LAYERS for name in layer]
    assert sorted(names) == sorted({room(module) for module in MODULES if "." in module})


def test_dependencies_point_down_and_never_to_a_sibling() -> None:
    level = {name: number for number, names in enumerate(LAYERS) for name in names}
    wrong = {
        (found.importer, found.imported)
        for found in IMPORTS
        # The version stands in the package's __init__, which imports nothing.
        if found.library == "dlmon" and found.imported != "dlmon" != found.importer
        if room(found.importer) != room(found.imported)
        if level[room(found.imported)] <= level[room(found.importer)]
    }
    assert wrong == set()


def test_no_module_needs_one_that_needs_it() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for found in IMPORTS:
        if found.library == "dlmon":
            graph[found.importer].add(found.imported)
    TopologicalSorter(graph).prepare()


def test_one_file_knows_pika() -> None:
    (file,) = importers("pika")
    assert file.startswith("dlmon.brokers.rabbitmq")


@pytest.mark.parametrize(
    ("library", "module"),
    [("psycopg", "dlmon.stores.postgresql"), ("httpx", "dlmon.stores.webhook")],
)
def test_a_library_of_an_extra_is_known_to_one_store_that_is_loaded_when_it_is_chosen(
    library: str, module: str
) -> None:
    assert importers(library) == {module}
    loading = [found for found in IMPORTS if found.imported == module]
    assert [(found.importer, found.at_top) for found in loading] == [("dlmon.stores", False)]


@pytest.mark.parametrize(
    ("library", "package"), [("rich", "dlmon.console"), ("typer", "dlmon.cli")]
)
def test_only_one_package_knows(library: str, package: str) -> None:
    outside = {m for m in importers(library) if m != package and not m.startswith(f"{package}.")}
    assert importers(library)
    assert outside == set()


def test_the_command_line_loads_typer_and_no_other_library() -> None:
    loaded: set[str] = set()
    libraries: set[str] = set()
    waiting = {module for module in MODULES if module.split(".")[:2] == ["dlmon", "cli"]}
    while waiting:
        module = waiting.pop()
        loaded.add(module)
        for found in IMPORTS:
            if found.importer != module or found.typing_only or not found.at_top:
                continue
            if found.library != "dlmon":
                libraries.add(found.library)
            elif found.imported not in loaded:
                waiting.add(found.imported)
    assert libraries - sys.stdlib_module_names == {"typer"}
    assert "sqlite3" not in libraries
