"""What is known of a group of downloads, packed and unpacked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dlmon.analysis.stats import Stats, speeds_in

_DOWNLOADS = st.lists(st.tuples(st.integers(0, 2**53), st.floats(0, 1e6)), max_size=20)


def stats_of(downloads: list[tuple[int, float]]) -> Stats:
    stats = Stats()
    for size, speed in downloads:
        stats.add(size, speed)
    return stats


@given(_DOWNLOADS, st.sampled_from([1, 255, 256, 65_535, 65_536, 2**33]))
def test_what_is_packed_is_unpacked_whatever_the_counts(
    downloads: list[tuple[int, float]], times: int
) -> None:
    stats = Stats()
    stats.merge(Stats(stats_of(downloads).counts), times)
    assert Stats.unpack(stats.pack()).counts == stats.counts


@given(_DOWNLOADS, st.sampled_from([1, 256]))
def test_speeds_of_what_is_packed_are_those_of_it(
    downloads: list[tuple[int, float]], times: int
) -> None:
    stats = Stats()
    stats.merge(stats_of(downloads), times)
    by_class = [stats.speeds_of(size_class) for size_class in range(1, 5)]
    assert speeds_in(stats.pack()).counts == stats.speeds.counts
    assert stats.speeds.count == sum(sketch.count for sketch in by_class)


@given(_DOWNLOADS)
def test_the_bytes_of_each_class_of_size_are_exact(downloads: list[tuple[int, float]]) -> None:
    stats = stats_of(downloads)
    assert stats.volume == sum(size for size, _ in downloads)
    assert sum(one.volume for one in stats.by_size().values()) == stats.volume
    assert sum(one.count for one in stats.by_size().values()) == stats.count == len(downloads)


def test_the_downloads_of_most_groups_take_few_bytes() -> None:
    stats = stats_of([(1_000_000 * number, 10.0 * number) for number in range(10)])
    assert len(stats.pack()) < 100
