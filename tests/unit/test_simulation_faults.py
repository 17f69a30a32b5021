"""Every kind of fault gets exactly the verdict that it promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from dlmon.sources.base import VALID, PlannedEvent
from dlmon.sources.simulation import Simulation
from dlmon.sources.simulation.faults import FAULTS, Fault
from dlmon.stores.base import Entry, write_isolating
from dlmon.stores.sqlite import SqliteStore
from dlmon.validation import violations as validation
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from dlmon.validation.violations import Violation

SCHEMA = load_schema()
VALIDATOR = Validator(SCHEMA)
NO_CODES = {"DEFAULT_SCHEMA"}
NOT_FOR_PRODUCERS = {
    validation.UNDECODABLE_HEADERS,
    validation.UNDECODABLE_BODY,
    validation.UNDELIVERABLE,
    validation.FOREIGN,
    validation.FALSE,
    validation.UNDECIDED,
}
OF_THE_STORE = {validation.UNSTORABLE, validation.ID_CONFLICT}
RANGE = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}

every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)


def events_with(fault: Fault, seed: int = 0) -> list[PlannedEvent]:
    """A sound event and twenty broken ones, all with the same fault."""
    [sound, *_] = Simulation(seed=seed, start=0).take(1)
    broken = Simulation(seed=seed + 1, start=0, invalid=1.0, faults=[fault]).take(21)
    return [sound, *(event for event in broken if event.verdict != VALID)]


def of_the_store(store: SqliteStore, events: list[PlannedEvent]) -> Iterator[Violation]:
    entries = [Entry(e.message_id, e.body, VALIDATOR.validate(e.body).event) for e in events]
    for written in write_isolating(store, [entries]):
        for _, violation in written.refused:
            yield violation


@every_fault
def test_the_verdict_is_the_one_that_is_promised(fault: Fault, tmp_path: Path) -> None:
    [sound, *broken] = events_with(fault)
    if fault.code in OF_THE_STORE:
        if fault.code == validation.ID_CONFLICT:
            # Its id is taken by the one sound event of the same run.
            [taken, *_] = Simulation(seed=1, start=0, invalid=1.0, faults=[fault]).take(1)
            broken = [taken, *broken]
        with SqliteStore(tmp_path / "events.db") as store:
            first = list(of_the_store(store, [sound, *broken]))
    else:
        first = [VALIDATOR.validate(event.body).violations[0] for event in broken]
    assert len(first) >= 20
    assert {(violation.code, violation.path) for violation in first} == {(fault.code, fault.path)}
    assert {event.verdict for event in broken} <= {fault.code, VALID}


@every_fault
def test_a_broken_body_is_one_line_and_says_what_it_is(fault: Fault) -> None:
    for event in events_with(fault):
        assert b"\n" not in event.body
        assert b"\r" not in event.body


@every_fault
def test_a_fault_is_the_only_one_of_its_event(fault: Fault) -> None:
    [_, *broken] = events_with(fault)
    for event in broken:
        violations = VALIDATOR.validate(event.body).violations
        assert len(violations) == (0 if fault.code in OF_THE_STORE else 1)


@every_fault
def test_a_broken_event_keeps_a_message_id_that_is_its_own(fault: Fault) -> None:
    ids = [event.message_id for event in events_with(fault)]
    if fault.code == validation.ID_CONFLICT:
        assert len(set(ids[1:])) == 1
    else:
        assert len(set(ids)) == len(ids) == 22


def test_kinds_have_names_of_their_own() -> None:
    assert len({fault.kind for fault in FAULTS}) == len(FAULTS)


def test_there_is_a_kind_for_every_code_that_a_producer_can_cause() -> None:
    codes = {
        value
        for name, value in vars(validation).items()
        if name.isupper() and isinstance(value, str) and name not in NO_CODES
    }
    keywords = {"required", "type", "format", "minimum", "maximum"}
    assert {fault.code for fault in FAULTS} == (codes - NOT_FOR_PRODUCERS) | keywords


def test_there_is_a_kind_for_every_rule_of_the_schema() -> None:
    caused = {(fault.code, fault.path) for fault in FAULTS}
    missing = set(rules(SCHEMA.document)) - caused
    assert missing == set()


def rules(schema: dict[str, object], path: str = "") -> Iterator[tuple[str, str]]:
    """Code and place of everything that can be wrong with an instance."""
    for keyword in ("type", "format", *RANGE):
        if keyword in schema:
            yield keyword, path
    if "required" in schema:
        yield "required", path
    properties = schema.get("properties", {})
    assert isinstance(properties, dict)
    for name, inner in properties.items():
        yield from rules(inner, f"{path}/{name}")


def test_each_required_field_has_a_kind_that_lacks_it() -> None:
    lacking = set()
    for fault in FAULTS:
        if fault.code == "required":
            event = orjson.loads(events_with(fault)[1].body)
            lacking |= {
                "event_id",
                "timestamp",
                "coordinates",
                "file_size",
                "download_speed",
            } - set(event)
            lacking |= {"latitude", "longitude"} - set(
                event.get("coordinates", {"latitude", "longitude"})
            )
    assert lacking == {
        "event_id",
        "timestamp",
        "coordinates",
        "latitude",
        "longitude",
        "file_size",
        "download_speed",
    }
