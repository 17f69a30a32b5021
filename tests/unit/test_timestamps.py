import pytest

from dlmon.runtime.timestamps import from_rfc3339, parse_duration, parse_moment, to_rfc3339

NOON = 1_772_366_400_000  # 2026-03-01T12:00:00Z


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert to_rfc3339(NOON + 7) == "2026-03-01T12:00:00.007Z"


@pytest.mark.parametrize("at", [0, 1, NOON, 253_402_300_799_999])
def test_what_is_written_can_be_read(at: int) -> None:
    assert from_rfc3339(to_rfc3339(at)) == at


@pytest.mark.parametrize(
    "text", ["2026-03-01T13:00:00+01:00", "2026-03-01t12:00:00z", "2026-03-01 12:00:00.000Z"]
)
def test_every_spelling_of_rfc_3339_is_read(text: str) -> None:
    assert from_rfc3339(text) == NOON


@pytest.mark.parametrize(
    "text",
    ["2026-03-01", "2026-03-01T12:00:00", "2026-13-01T12:00:00Z", "20260301T120000Z", "noon", ""],
)
def test_what_is_no_rfc_3339_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_rfc3339(text)


DURATIONS = [
    ("90s", 90),
    ("15m", 900),
    ("1.5h", 5400),
    ("3d", 259_200),
    ("1w", 604_800),
    ("0s", 0),
    ("365000d", 365_000 * 86_400),
]
NO_DURATIONS = ["15 m", "-15m", "1e3s", "1,5h", ".5h", "٣h", "m", "2H", "365001d", "9" * 400 + "w"]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_a_duration_as_a_moment_is_that_long_before_now(text: str, seconds: int) -> None:
    assert parse_moment(text, NOON) == NOON - seconds * 1000


@pytest.mark.parametrize("text", [*NO_DURATIONS, "15", ""])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_duration(text)
    with pytest.raises(ValueError, match=r".+"):
        parse_moment(text, NOON)


def test_a_number_alone_is_a_duration_where_its_unit_is_known() -> None:
    assert parse_duration("1.5", unit="m").total_seconds() == 90
    assert parse_duration("1.5h", unit="m").total_seconds() == 5400


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_anything_else_is_refused_where_the_unit_is_known(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_duration(text, unit="s")
