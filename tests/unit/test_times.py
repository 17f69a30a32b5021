import pytest

from dlmon.runtime.timestamps import from_rfc3339, parse_moment, to_rfc3339

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


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("2h", 7200), ("3d", 259_200), ("1w", 604_800), ("0s", 0)],
)
def test_a_duration_is_so_long_before_now(text: str, seconds: int) -> None:
    assert parse_moment(text, NOON) == NOON - seconds * 1000


@pytest.mark.parametrize("text", ["15", "15 m", "-15m", "1.5h", "99999999999999999w", "m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_moment(text, NOON)
