"""Who imports whom in a package, found by reading its files.

`python -m tests.support.import_graph [FOLDER]` prints the figures of dlmon, or of the package in
FOLDER: its modules, the packages and modules at its top, the imports between these, the layers that
these imports make, and the cycles.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

Graph = Mapping[str, set[str]]
"""Each node with those that it imports."""


@dataclass(frozen=True)
class Import:
    """One module that a module imports."""

    importer: str
    imported: str
    typing_only: bool
    at_top: bool

    @property
    def library(self) -> str:
        """The package outside, or the package itself."""
        return self.imported.partition(".")[0]


class Package:
    """A package of Python, whose files are read and not run."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.modules = {_module(folder, file): file for file in sorted(folder.rglob("*.py"))}
        self.imports = [
            found
            for module, file in self.modules.items()
            for found in self._imports(module, ast.parse(file.read_text("utf-8")))
        ]

    def part(self, module: str) -> str:
        """The package or module directly below this package that a module is, or lies in."""
        return module.split(".")[1]

    @property
    def parts(self) -> set[str]:
        """The packages and modules directly below this one."""
        return {self.part(module) for module in self.modules if module != self.name}

    def importers(self, library: str) -> set[str]:
        """The modules that import from another library."""
        return {found.importer for found in self.imports if found.library == library}

    def graph(self) -> Graph:
        """Between all modules."""
        graph: dict[str, set[str]] = {module: set() for module in self.modules}
        for found in self._inner():
            graph[found.importer].add(found.imported)
        return graph

    def graph_of_parts(self) -> Graph:
        """Between what lies directly below this package."""
        graph: dict[str, set[str]] = {part: set() for part in self.parts}
        for found in self._inner():
            importer, imported = self.part(found.importer), self.part(found.imported)
            if importer != imported:
                graph[importer].add(imported)
        return graph

    def _inner(self) -> Iterator[Import]:
        """Imports of one module from another, but for what the package itself holds or imports."""
        for found in self.imports:
            if found.library == self.name and self.name not in (found.importer, found.imported):
                yield found

    def _imports(
        self, module: str, node: ast.AST, typing_only: bool = False, at_top: bool = True
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
                    imported = name if name in self.modules else child.module
                    yield Import(module, imported, typing_only, at_top)
            elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                in_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
                for_types = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
                yield from self._imports(
                    module, child, typing_only or for_types, at_top and not in_function
                )


def cycles(graph: Graph) -> list[list[str]]:
    """The groups of nodes of which each needs each, sorted."""
    reached = {node: _reached(graph, node) for node in graph}
    groups = {
        tuple(sorted(other for other in reached[node] if node in reached[other]))
        for node in graph
        if node in reached[node]
    }
    return [list(group) for group in sorted(groups)]


def levels(graph: Graph) -> list[list[str]]:
    """Nodes by how far they are from the bottom, the bottom first; a cycle counts as one node."""
    group = {node: cycle[0] for cycle in cycles(graph) for node in cycle}
    merged: dict[str, set[str]] = {}
    for node, imported in graph.items():
        name = group.get(node, node)
        merged.setdefault(name, set()).update(group.get(one, one) for one in imported)
        merged[name].discard(name)
    height: dict[str, int] = {}
    for node in TopologicalSorter(merged).static_order():
        height[node] = 1 + max((height[one] for one in merged[node]), default=-1)
    return [
        sorted(node for node in graph if height[group.get(node, node)] == level)
        for level in range(1 + max(height.values(), default=-1))
    ]


def _reached(graph: Graph, start: str) -> set[str]:
    """The nodes that one needs, directly or by way of others."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for node in graph[waiting.pop()] - found:
            found.add(node)
            waiting.append(node)
    return found


def _module(folder: Path, file: Path) -> str:
    parts = file.relative_to(folder.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _print_figures(folder: Path) -> None:
    package = Package(folder)
    parts = package.graph_of_parts()
    lines = sum(len(file.read_text("utf-8").splitlines()) for file in package.modules.values())
    loose = sorted(part for part in package.parts if (folder / f"{part}.py").exists())
    figures = [
        f"{len(package.modules)} modules, {lines:,} lines",
        f"{len(parts)} nodes at the top: {len(parts) - len(loose)} packages, "
        f"{len(loose)} modules ({', '.join(loose)})",
        f"{sum(map(len, parts.values()))} edges between them",
        f"{len(cycles(parts))} cycles at the top",
        *(f"  {' <-> '.join(cycle)}" for cycle in cycles(parts)),
        f"{len(cycles(package.graph()))} cycles of modules",
        *(f"  {' <-> '.join(cycle)}" for cycle in cycles(package.graph())),
        f"{len(levels(parts))} levels",
        *(f"  {', '.join(level)}" for level in reversed(levels(parts))),
    ]
    print("\n".join(figures))  # noqa: T201


if __name__ == "__main__":
    _print_figures(Path(sys.argv[1] if len(sys.argv) > 1 else "dlmon").resolve())
