"""Look at everything that dlmon needs, step by step."""

from __future__ import annotations

from collections.abc import Iterator

from dlmon.brokers import diagnose_broker
from dlmon.brokers.base import Check
from dlmon.commands.configured import configured_schema
from dlmon.config.settings import Settings
from dlmon.errors import DlmonError
from dlmon.runtime.stop import Stop
from dlmon.stores import open_store
from dlmon.validation.storable import refuse_unstorable


def diagnose(settings: Settings, stop: Stop) -> Iterator[Check]:
    """The steps, each as soon as it is done.

    Nothing is changed, but a store is created, or brought up to date, as it is by a consumer.
    """
    schema = None
    try:
        schema = configured_schema(settings)
        yield Check("schema", schema.version)
    except DlmonError as error:
        yield Check("schema", str(error), error)
    store = "store"
    try:
        store = f"store {settings.store}"
        with open_store(settings.store, settings.keep) as opened:
            opened.probe()
            once = "each event once" if opened.exactly_once else "each event at least once"
            found = [f"can be written to, {once}", opened.advice()]
            if schema is not None and opened.has_columns:
                refuse_unstorable(schema)
            yield Check(store, "; ".join(filter(None, found)))
    except DlmonError as error:
        yield Check(store, str(error), error)
    yield from diagnose_broker(settings, stop)
