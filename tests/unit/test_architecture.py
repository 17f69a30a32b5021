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

# Each may import from its own layer and from those below it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("dlmon.cli", "dlmon.__main__"),
    ("dlmon.console",),
    ("dlmon.commands",),
    ("dlmon",),  # brokers, stores, simulation, validation, rejection and whatever is beside them
    ("dlmon.event", "dlmon.config.settings", "dlmon.config.urls"),
    ("dlmon.errors", "dlmon.runtime.stop", "dlmon.runtime.closeable"),
)
# PublishRefused carries messages: a type, which is not imported when dlmon runs.
TYPES_FROM_ABOVE = {("dlmon.errors", "dlmon.brokers.base")}


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


def layer(module: str) -> int:
    """The number of the layer with the longest name that `module` is, or lies below."""
    names = {name: number for number, names in enumerate(LAYERS) for name in names}
    return names[max((n for n in names if f"{module}.".startswith(f"{n}.")), key=len)]


def importers(library: str) -> set[str]:
    return {found.importer for found in IMPORTS if found.library == library}


def test_the_walk_sees_what_is_there() -> None:
    assert Import("dlmon.cli", "typer", typing_only=False, at_top=True) in IMPORTS
    assert Import("dlmon.errors", "dlmon.brokers.base", typing_only=True, at_top=True) in IMPORTS
    assert (
        Import("dlmon.validation.validator", "jsonschema", typing_only=False, at_top=False)
        in IMPORTS
    )


def test_dependencies_point_down() -> None:
    upwards = {
        (found.importer, found.imported)
        for found in IMPORTS
        if found.library == "dlmon"
        and layer(found.imported) < layer(found.importer)
        # The version stands in the package's __init__, which imports nothing.
        and found.imported != "dlmon"
    }
    assert upwards == TYPES_FROM_ABOVE


def test_no_module_needs_one_that_needs_it() -> None:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for found in IMPORTS:
        if found.library == "dlmon" and not found.typing_only:
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
