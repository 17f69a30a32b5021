import pytest

from dlmon.rejects.filters import Selection
from dlmon.validation.violations import Violation
from tests.support.events import make_body
from tests.support.rejections import AT, VALIDATOR, rejection

ID = "0b8f3d0a-6b1c-4a4b-9f7e-6f1b6f0e0f4a"
BODY = make_body(event_id=ID, agent="edge-7")
REJECTION = rejection(
    BODY,
    Violation("maximum", "/coordinates/latitude", "212.5 is greater than the maximum of 90"),
    Violation("type", "/file_size", "no number"),
)
UNTIMED = rejection(BODY, Violation("type", "", "odd"), at=None)


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(codes=frozenset({"type", "maximum"})),
        Selection(paths=frozenset({"/coordinates/latitude"})),
        Selection(codes=frozenset({"maximum"}), paths=frozenset({"/coordinates/latitude"})),
        Selection(since=AT),
        Selection(until=AT),
        Selection(contains="edge-7"),
        Selection(contains="greater than the maximum"),
        Selection(ids=frozenset({"another", ID})),
        Selection(schema_versions=frozenset({VALIDATOR.schema.version})),
        Selection(schema_versions=frozenset({VALIDATOR.schema.digest})),
        Selection(schema_versions=frozenset({"urn:dlmon:download-event:1"})),
    ],
)
def test_filters_select(selection: Selection) -> None:
    assert selection.matches(REJECTION)


@pytest.mark.parametrize(
    "selection",
    [
        Selection(codes=frozenset({"type"})),
        Selection(paths=frozenset({"/file_size"})),
        Selection(paths=frozenset({"/coordinates"})),
        Selection(paths=frozenset({""})),
        Selection(codes=frozenset({"maximum"}), ids=frozenset({"another"})),
        Selection(since=AT + 1),
        Selection(until=AT - 1),
        Selection(contains="edge-8"),
        Selection(ids=frozenset({ID[:-1]})),
        Selection(schema_versions=frozenset({"urn:dlmon:download-event:2"})),
    ],
)
def test_filters_leave_out(selection: Selection) -> None:
    assert not selection.matches(REJECTION)


def test_a_time_selects_no_rejection_without_one() -> None:
    assert Selection().matches(UNTIMED)
    assert not Selection(since=0).matches(UNTIMED)
    assert not Selection(until=AT).matches(UNTIMED)


def test_the_empty_path_is_the_whole_event() -> None:
    assert Selection(paths=frozenset({""})).matches(UNTIMED)


def test_text_is_looked_for_in_bytes_that_are_no_text() -> None:
    # As the command line hands on an argument that is not UTF-8 (PEP 383).
    argument = b"caf\xe9".decode(errors="surrogateescape")
    assert Selection(contains=argument).matches(rejection(b'{"name": "caf\xe9"}'))


def test_only_no_filter_at_all_means_everything() -> None:
    assert Selection().everything
    assert not Selection(paths=frozenset({""})).everything
    assert not Selection(since=0).everything
