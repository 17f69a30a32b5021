"""What `replay-rejects` and `inspect-rejects --revalidate` think of a rejection today."""

from __future__ import annotations

import pytest

from dlmon.rejects.rejection import reject, revalidate
from dlmon.validation.validator import Validator
from dlmon.validation.violations import Violation
from tests.support.events import make_body
from tests.support.rejections import AT, VALIDATOR, delivery, rejection, slow


def test_what_still_breaks_the_schema_still_fails() -> None:
    (violation,) = revalidate(slow(), VALIDATOR)
    assert (violation.code, violation.path) == ("type", "/download_speed")


def test_what_another_schema_rejected_passes_now() -> None:
    assert not revalidate(rejection(make_body(), Violation("maximum", "/a", "old")), VALIDATOR)


@pytest.mark.parametrize("code", ["unstorable", "id-conflict"])
def test_what_a_store_refused_fails_until_its_body_is_another(code: str) -> None:
    refused = Violation(code, "", "the store said so")
    parked = rejection(make_body(), refused)
    assert revalidate(parked, VALIDATOR) == (refused,)
    assert revalidate(parked, VALIDATOR, parked.body) == (refused,)
    assert not revalidate(parked, VALIDATOR, make_body())


@pytest.mark.parametrize("code", ["undeliverable", "undecodable-headers"])
def test_what_the_broker_moved_here_passes_when_its_event_is_valid(code: str) -> None:
    assert not revalidate(rejection(make_body(), Violation(code, "", "odd")), VALIDATOR)


@pytest.mark.parametrize(("more", "codes"), [(0, []), (-1, ["too-large"])])
def test_a_message_is_taken_apart_up_to_the_limit_that_is_set(more: int, codes: list[str]) -> None:
    array = b"[%b,%b]" % (make_body(), make_body())
    parked = reject(
        delivery(array),
        [Violation("too-large", "", "before")],
        message_id="packed",
        schema=VALIDATOR.schema.version,
        rejected_by="consumer-1",
        rejected_at=AT,
    )
    validator = Validator(VALIDATOR.schema, max_message_bytes=len(array) + more)
    assert [violation.code for violation in revalidate(parked, validator)] == codes
