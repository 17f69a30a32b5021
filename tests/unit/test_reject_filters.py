import pytest

from dlmon.rejects.filters import RejectFilter
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
    "reject_filter",
    [
        RejectFilter(),
        RejectFilter(codes=frozenset({"type", "maximum"})),
        RejectFilter(paths=frozenset({"/coordinates/latitude"})),
        RejectFilter(codes=frozenset({"maximum"}), paths=frozenset({"/coordinates/latitude"})),
        RejectFilter(since=AT),
        RejectFilter(until=AT),
        RejectFilter(contains="edge-7"),
        RejectFilter(contains="greater than the maximum"),
        RejectFilter(ids=frozenset({"another", ID})),
        RejectFilter(ids=frozenset({ID.upper()})),
        RejectFilter(ids=frozenset({ID.title()})),
        RejectFilter(schema_versions=frozenset({VALIDATOR.schema.version})),
        RejectFilter(schema_versions=frozenset({VALIDATOR.schema.digest})),
        RejectFilter(schema_versions=frozenset({"urn:dlmon:download-event:1"})),
    ],
)
def test_filters_select(reject_filter: RejectFilter) -> None:
    assert reject_filter.matches(REJECTION)


@pytest.mark.parametrize(
    "reject_filter",
    [
        RejectFilter(codes=frozenset({"type"})),
        RejectFilter(paths=frozenset({"/file_size"})),
        RejectFilter(paths=frozenset({"/coordinates"})),
        RejectFilter(paths=frozenset({""})),
        RejectFilter(codes=frozenset({"maximum"}), ids=frozenset({"another"})),
        RejectFilter(since=AT + 1),
        RejectFilter(until=AT - 1),
        RejectFilter(contains="edge-8"),
        RejectFilter(ids=frozenset({ID[:-1]})),
        RejectFilter(schema_versions=frozenset({"urn:dlmon:download-event:2"})),
    ],
)
def test_filters_leave_out(reject_filter: RejectFilter) -> None:
    assert not reject_filter.matches(REJECTION)


@pytest.mark.parametrize("given", [ID, ID.upper(), ID[:9].upper() + ID[9:]])
def test_ids_are_compared_as_the_stores_compare_them(given: str) -> None:
    for parked in (ID, ID.upper()):
        one = rejection(make_body(event_id=parked, file_size=-1))
        assert one.message_id == parked
        assert RejectFilter(ids=frozenset({given})).matches(one)


def test_a_time_selects_no_rejection_without_one() -> None:
    assert RejectFilter().matches(UNTIMED)
    assert not RejectFilter(since=0).matches(UNTIMED)
    assert not RejectFilter(until=AT).matches(UNTIMED)


def test_the_empty_path_is_the_whole_event() -> None:
    assert RejectFilter(paths=frozenset({""})).matches(UNTIMED)


def test_text_is_looked_for_in_bytes_that_are_no_text() -> None:
    # As the command line hands on an argument that is not UTF-8 (PEP 383).
    argument = b"caf\xe9".decode(errors="surrogateescape")
    assert RejectFilter(contains=argument).matches(rejection(b'{"name": "caf\xe9"}'))


def test_only_no_filter_at_all_means_everything() -> None:
    assert RejectFilter().everything
    assert not RejectFilter(paths=frozenset({""})).everything
    assert not RejectFilter(since=0).everything
