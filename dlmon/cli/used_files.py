"""The files that a command uses, so that none is both read and written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dlmon.errors import SettingsError
from dlmon.runtime.same_file import UsedFile, refuse_same_file, with_sqlite_files

if TYPE_CHECKING:
    from dlmon.config.settings import Settings


def refuse_shared_files(
    settings: Settings,
    *,
    written: Mapping[str, Path | None] | None = None,
    read: Mapping[str, Sequence[Path]] | None = None,
    writes_store: bool = False,
) -> None:
    """Make sure that no file that a command writes, stdout and stderr among them, is one that it
    reads, that it writes for something else, or that holds settings' data: the local broker, the
    store and the schema.

    written, read: by option, `-` for stdout and stdin. writes_store: the store is written, too.

    Raises: UsageError.
    """
    outputs = [UsedFile(use, path) for use, path in (written or {}).items() if path is not None]
    if writes_store:
        outputs = [*_store_files(settings), *outputs]
    refuse_same_file(outputs, _inputs(settings, read or {}, with_store=not writes_store))


def _inputs(
    settings: Settings, read: Mapping[str, Sequence[Path]], *, with_store: bool
) -> Iterator[UsedFile]:
    from dlmon.config.urls import LocalAddress

    for use, paths in read.items():
        yield from (UsedFile(use, path) for path in paths)
    if isinstance(settings.broker, LocalAddress):
        yield from with_sqlite_files("--broker", settings.broker.path)
    if settings.schema is not None:
        yield UsedFile("--schema", settings.schema)
    for path in settings.schema_refs:
        yield from (UsedFile("--schema-ref", document) for document in _documents(path))
    if with_store:
        yield from _store_files(settings)


def _documents(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return (path,)
    from dlmon.validation.schema_references import documents_in

    return documents_in(path)


def _store_files(settings: Settings) -> Iterator[UsedFile]:
    with suppress(SettingsError):  # without a folder for it; opening the store will say so
        scheme = settings.store.url.partition(":")[0]
        if scheme == "sqlite":
            yield from with_sqlite_files("--store", settings.store.path)
        elif scheme == "ndjson":
            yield UsedFile("--store", settings.store.path)
