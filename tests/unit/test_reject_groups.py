from dataclasses import replace

from dlmon.rejects.groups import MAX_GROUPS, MAX_NAMES, OTHER, Groups, Latest, Revalidation
from dlmon.rejects.rejection import revalidate
from dlmon.validation.violations import Violation, describe_rule
from tests.support.events import make_body
from tests.support.rejections import AT, VALIDATOR, rejection, slow


def test_rejections_are_grouped_by_code_and_path_of_the_first_violation() -> None:
    groups = Groups()
    for _ in range(3):
        groups.add(slow())
    groups.add(rejection(make_body(file_size=-1)))
    groups.add(rejection(make_body(file_size="1")))
    counts = [(group.code, group.path, group.count) for group in groups.largest_first()]
    assert counts[0] == ("type", "/download_speed", 3)
    assert set(counts[1:]) == {("minimum", "/file_size", 1), ("type", "/file_size", 1)}
    assert groups.count == 5


def test_a_group_says_when_it_was_seen_first_and_last_and_has_the_last_as_sample() -> None:
    groups = Groups()
    last = replace(slow(), rejected_at=AT + 5000, message_id="the last one")
    for one in (replace(slow(), rejected_at=AT), last, replace(slow(), rejected_at=AT - 1)):
        groups.add(one)
    (group,) = groups.largest_first()
    assert (group.first_seen, group.last_seen) == (AT - 1, AT + 5000)
    assert (group.sample_id, group.sample_reason) == ("the last one", last.reason)


def test_a_group_without_times_has_a_sample_all_the_same() -> None:
    groups = Groups()
    groups.add(replace(slow(), rejected_at=None, message_id="untimed"))
    (group,) = groups.largest_first()
    assert (group.first_seen, group.last_seen, group.sample_id) == (None, None, "untimed")


def test_a_flood_of_paths_and_versions_stays_bounded_and_is_still_counted() -> None:
    groups = Groups()
    template = slow()
    for number in range(MAX_GROUPS + 500):
        odd = Violation("duplicate-key", f"/{number}", "twice")
        groups.add(replace(template, violations=(odd,)))
    for number in range(100):
        groups.add(replace(template, schema=f"version {number}", violations=(odd,)))
    ordered = groups.largest_first()
    assert len(ordered) == MAX_GROUPS + 1
    assert (ordered[0].code, ordered[0].count) == (OTHER, 600)
    assert len(ordered[0].schemas) == MAX_NAMES
    assert groups.count == MAX_GROUPS + 600


def test_the_newest_are_kept_without_their_bodies() -> None:
    latest = Latest(2)
    for at in (3, 1, None, 2):
        latest.add(replace(slow(), rejected_at=at))
    assert [(one.rejected_at, one.body) for one in latest.in_order()] == [(3, b""), (2, b"")]


def test_the_oldest_are_kept_and_those_without_a_time_are_the_oldest() -> None:
    latest = Latest(3, oldest=True)
    for at in (3, 1, None, 2):
        latest.add(replace(slow(), rejected_at=at))
    assert [one.rejected_at for one in latest.in_order()] == [None, 1, 2]


def test_revalidation_counts_what_passes_and_groups_what_fails_by_the_new_reason() -> None:
    result = Revalidation()
    mended = Violation("type", "/download_speed", "what an older schema said")
    for one in (
        rejection(make_body(), mended),
        rejection(make_body(file_size=-1), mended),
    ):
        result.add(one, revalidate(one, VALIDATOR))
    assert result.passing == 1
    (group,) = result.failing.largest_first()
    assert (group.code, group.path) == ("minimum", "/file_size")


def test_a_place_is_named_by_code_and_path() -> None:
    assert describe_rule("type", "/file_size") == "type at /file_size"
    assert describe_rule("required", "") == "required"
