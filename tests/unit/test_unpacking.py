"""What a message holds, told by its content type, its encoding and its content."""

from __future__ import annotations

import base64
import gzip
import json
import sys
import zlib
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmon.messages import PACKED_IN, PLACE
from dlmon.unpacking import splitting
from dlmon.unpacking.unpacker import Contents, Unpacker, is_one_event
from dlmon.validation.schema import Schema, load_schema
from dlmon.validation.validator import Validator
from dlmon.validation.violations import Violation
from tests.support.events import make_body, make_event
from tests.support.rejections import delivery

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

UNPACKER = Unpacker(load_schema())
EVENTS = [make_body(note=note) for note in ("a", "},{", 'x"}, {"y')]
ARRAY = b"[" + b",".join(EVENTS) + b"]"


def unpack(body: bytes, unpacker: Unpacker = UNPACKER, **properties: Any) -> Contents:
    contents = unpacker.unpack(delivery(body, "m", **properties))
    assert isinstance(contents, Contents)
    return contents


def refusal(body: bytes, unpacker: Unpacker = UNPACKER, **properties: Any) -> tuple[str, str]:
    violation = unpacker.unpack(delivery(body, "m", **properties))
    assert isinstance(violation, Violation)
    return violation.code, violation.reason


@pytest.mark.parametrize(
    "body", [EVENTS[0], b"{", b"", b"17", b"[]", b"[1, 2]", b"[[{}]]", b"\xff"]
)
def test_what_is_no_array_of_objects_stays_one_event(body: bytes) -> None:
    assert UNPACKER.unpack(delivery(body)) is None


def test_a_schema_that_asks_for_an_array_makes_an_array_one_event() -> None:
    assert Unpacker(Schema({"type": ["array", "null"]}, "s")).unpack(delivery(ARRAY)) is None


def test_an_event_over_several_lines_stays_one_event() -> None:
    body = orjson.dumps(make_event(tags=[{"a": 1}, {"b": 2}]), option=orjson.OPT_INDENT_2)
    assert not is_one_event(delivery(body))
    assert UNPACKER.unpack(delivery(body)) is None


LAYOUTS = {
    "canonical": ARRAY,
    "spaced": b" [ " + b" ,\r\n ".join(EVENTS) + b" ]\n",
    "lines by content": b"\n".join(EVENTS),
    "lines with CRLF and blank ones": b"\r\n\r\n".join(EVENTS) + b"\r\n",
    "an array a line": b"\n".join(b"[%b]" % event for event in EVENTS),
}


@pytest.mark.parametrize("body", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_each_event_has_its_exact_bytes(body: bytes) -> None:
    assert list(unpack(body).bodies) == EVENTS


JSON_VALUES = st.recursive(
    st.none() | st.integers(-9, 9) | st.text('},{"\\ \n[]a', max_size=6),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.text('},{"a', max_size=3), children, max_size=3)
    ),
    max_leaves=6,
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " : ")])


@given(
    st.lists(st.dictionaries(st.text(max_size=2), JSON_VALUES, max_size=3), min_size=1), SEPARATORS
)
def test_any_array_of_objects_is_cut_between_its_elements(
    values: list[dict[str, Any]], separators: tuple[str, str]
) -> None:
    texts = [json.dumps(value, separators=separators).encode() for value in values]
    contents = unpack(b"[" + separators[0].encode().join(texts) + b"]")
    assert list(contents.bodies) == texts
    assert contents.values in (None, [orjson.loads(text) for text in texts])


def test_an_array_too_large_to_be_parsed_as_a_whole_is_cut_just_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(splitting, "_PARSED_BYTES", 100)
    monkeypatch.setattr(splitting, "_PIECE_BYTES", 150)
    contents = unpack(ARRAY)
    assert (list(contents.bodies), contents.values) == (EVENTS, None)


@pytest.mark.parametrize("broken", [b"1", b"null", b'{"a":}', b"[{}]"])
def test_one_broken_element_is_an_event_of_its_own_and_spares_the_others(broken: bytes) -> None:
    body = b"[%b,%b,%b]" % (EVENTS[0], broken, EVENTS[1])
    assert list(unpack(body).bodies) == [EVENTS[0], broken, EVENTS[1]]


@pytest.mark.parametrize(
    "body", [ARRAY[:-1], ARRAY[:-9], ARRAY.replace(b"},{", b"}{", 1), b"[{},]"]
)
def test_a_torn_array_cannot_be_taken_apart_and_the_reason_says_where(body: bytes) -> None:
    code, reason = refusal(body)
    assert code == "not-json"
    assert "the array cannot be taken apart: " in reason
    assert "at byte " in reason


def test_lines_are_told_by_the_content_type_also_where_one_is_broken() -> None:
    body = b"{broken\n%b\n" % EVENTS[0]
    assert UNPACKER.unpack(delivery(body)) is None
    for kind in ("application/x-ndjson; charset=utf-8", "application/jsonl"):
        assert list(unpack(body, content_type=kind).bodies) == [b"{broken", EVENTS[0]]


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "deflate": zlib.compress,
    "GZIP": lambda text: gzip.compress(text[:50]) + gzip.compress(text[50:]),
    "x-gzip": gzip.compress,
}


def raw_deflate(text: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(text) + packer.flush()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_encoding_is_undone(encoding: str) -> None:
    assert list(unpack(ENCODINGS[encoding](ARRAY), content_encoding=encoding).bodies) == EVENTS
    one = unpack(ENCODINGS[encoding](EVENTS[0]), content_encoding=encoding)
    assert list(one.bodies) == EVENTS[:1]


def test_deflate_without_its_header_is_undone_too() -> None:
    assert list(unpack(raw_deflate(ARRAY), content_encoding="deflate").bodies) == EVENTS


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "deflate"])
@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda _: b"x{}", lambda _: b"", lambda b: b + b"x"]
)
def test_what_is_not_what_its_encoding_says_is_undecodable(encoding: str, damage: Any) -> None:
    code, reason = refusal(damage(ENCODINGS[encoding](ARRAY)), content_encoding=encoding)
    assert code == "undecodable-body"
    assert reason.startswith(f"the content encoding is {encoding}, but ")


def test_the_wrong_encoding_is_named() -> None:
    _, reason = refusal(zstd.compress(ARRAY), content_encoding="gzip")
    assert reason == "the content encoding is gzip, but it looks like zstd"


@pytest.mark.parametrize("encoding", ["utf-8", "br", "gzip", "zstd", "deflate"])
def test_an_encoding_that_a_json_body_does_not_have_is_passed_over(encoding: str) -> None:
    assert UNPACKER.unpack(delivery(EVENTS[0], content_encoding=encoding)) is None
    assert list(unpack(ARRAY, content_encoding=encoding).bodies) == EVENTS


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "deflate"])
def test_a_bomb_is_too_large_before_it_is_unpacked(encoding: str) -> None:
    bomb = ENCODINGS[encoding](bytes(50_000_000))
    code, reason = refusal(bomb, Unpacker(load_schema(), 100_000), content_encoding=encoding)
    assert (code, reason) == (
        "too-large",
        "more than the limit of 100000 bytes once it is unpacked",
    )


def test_the_limits_hold_for_what_is_not_packed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    unpacker = Unpacker(load_schema(), len(ARRAY) - 1)
    assert refusal(ARRAY, unpacker)[0] == "too-large"
    assert refusal(b"\n".join(EVENTS) + b"\n\n", unpacker)[0] == "too-large"
    assert list(unpack(ARRAY, Unpacker(load_schema(), len(ARRAY))).bodies) == EVENTS
    monkeypatch.setattr(splitting, "MAX_EVENTS", 2)
    assert refusal(b"[{},[],{}]")[1] == "more than 2 events in one message"
    assert refusal(b"{}\n" * 3, content_type="application/jsonl")[0] == "too-large"


def cloud_event(**changes: Any) -> dict[str, Any]:
    data = make_event()
    del data["event_id"], data["timestamp"]
    return {
        "specversion": "1.0",
        "id": "7a2f3c1e-8f1d-4c7e-9a53-0d5b2f6c9e11",
        "source": "/agents/7",
        "type": "download.completed",
        "time": "2026-03-01T12:00:00Z",
        "datacontenttype": "application/json",
        "data": data,
        **changes,
    }


STRUCTURED = "application/cloudevents+json; charset=UTF-8"
BATCHED = "application/cloudevents-batch+json"


@pytest.mark.parametrize("spaced", [False, True])
def test_the_event_of_a_cloudevent_is_its_data_with_its_id_and_time(spaced: bool) -> None:
    event = cloud_event()
    text = json.dumps(event).encode() if spaced else orjson.dumps(event)
    data = json.dumps(event["data"]).encode() if spaced else orjson.dumps(event["data"])
    (body,) = unpack(text, content_type=STRUCTURED).bodies
    assert body == (
        b'{"event_id":"7a2f3c1e-8f1d-4c7e-9a53-0d5b2f6c9e11","timestamp":"2026-03-01T12:00:00Z",'
        + data[1:]
    )


def test_an_id_and_a_time_that_the_data_has_stay_and_so_do_its_bytes() -> None:
    data = make_event()
    for event in (
        cloud_event(data=data),
        cloud_event(data=None, data_base64=base64.b64encode(orjson.dumps(data)).decode()),
    ):
        if event["data"] is None:
            del event["data"]
        contents = unpack(orjson.dumps([event]), content_type=BATCHED)
        assert list(contents.bodies) == [orjson.dumps(data)]


def test_an_empty_object_gets_an_id_and_a_time_and_is_json() -> None:
    (body,) = unpack(orjson.dumps(cloud_event(data={})), content_type=STRUCTURED).bodies
    assert orjson.loads(body).keys() == {"event_id", "timestamp"}


def test_attributes_become_the_headers_of_the_binary_mode_which_gives_the_same_event() -> None:
    text = orjson.dumps([cloud_event(), cloud_event(id="2", sampled=True)])
    contents = unpack(text, content_type=BATCHED)
    alone = contents.delivery_of(1)
    assert alone.headers["cloudEvents:id"] == "2"
    assert alone.headers["cloudEvents:sampled"] is True
    assert (alone.headers[PACKED_IN], alone.headers[PLACE]) == ("m", 2)
    assert alone.content_type == "application/json"
    assert UNPACKER.unpack(alone) is None
    bare = alone._replace(body=orjson.dumps(cloud_event()["data"]))
    assert not is_one_event(bare)
    again = UNPACKER.unpack(bare)
    assert isinstance(again, Contents)
    assert list(again.bodies) == [alone.body]


@pytest.mark.parametrize("prefix", ["cloudEvents_", "ce-"])
def test_the_binary_mode_is_told_by_its_headers(prefix: str) -> None:
    headers = {f"{prefix}{name}": "x" for name in ("specversion", "id", "time")}
    (body,) = unpack(b"{}", headers=headers).bodies
    assert body == b'{"event_id":"x","timestamp":"x"}'
    assert UNPACKER.unpack(delivery(b"[]", headers=headers)) is None
    assert UNPACKER.unpack(delivery(b"{", headers=headers)) is None


@pytest.mark.parametrize("text", [b"{", b"17", b'{"id":"1"}', b'{"specversion":"1.0","id":"1"}'])
def test_what_is_no_cloudevent_is_an_event_that_gets_its_verdict(text: bytes) -> None:
    assert list(unpack(text, content_type=STRUCTURED).bodies) == [text]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (b'"id":"other"', "duplicate-key"),
        (b'"time":"other"', "duplicate-key"),
        (b'"data":{"event_id":"lost"}', "duplicate-key"),
        (b'"data_base64":"e30="', "required"),
    ],
)
def test_a_cloudevent_that_can_be_read_in_two_ways_is_rejected_whole(
    more: bytes, code: str
) -> None:
    text = orjson.dumps(cloud_event())[:-1] + b"," + more + b"}"
    assert list(unpack(text, content_type=STRUCTURED).bodies) == [text]
    assert Validator(load_schema()).validate(text).violations[0].code == code


def test_a_key_that_stands_twice_in_the_data_of_a_cloudevent_is_left_to_its_verdict() -> None:
    text = orjson.dumps(cloud_event() | {"data": {"a": {"b": 77}}}).replace(b"77", b'1,"b":2')
    (body,) = unpack(text, content_type=STRUCTURED).bodies
    assert b'"b":1,"b":2' in body


def test_a_batch_of_cloudevents_is_an_array() -> None:
    code, reason = refusal(orjson.dumps(cloud_event()), content_type=BATCHED)
    assert (code, reason) == ("not-json", "a batch of CloudEvents has to be an array")


def test_an_event_of_several_is_a_delivery_with_its_id_its_place_and_no_encoding() -> None:
    body = gzip.compress(b"[%b,{}]" % EVENTS[0])
    contents = unpack(body, content_encoding="gzip", headers={"fleet": 7})
    first = contents.delivery_of(0, orjson.loads(EVENTS[0]))
    assert first.message_id == orjson.loads(EVENTS[0])["event_id"]
    second = contents.delivery_of(1, {})
    assert (second.body, second.message_id, second.content_encoding) == (b"{}", "m#2", None)
    assert second.headers == {"fleet": 7, PACKED_IN: "m", PLACE: 2}


@given(st.binary(max_size=60) | st.text('[]{},:"\n 1', max_size=30).map(str.encode))
def test_no_bytes_make_it_raise(body: bytes) -> None:
    for kind in (None, "application/jsonl", STRUCTURED, BATCHED):
        for encoding in (None, "gzip", "zstd", "deflate"):
            UNPACKER.unpack(delivery(body, content_type=kind, content_encoding=encoding))
