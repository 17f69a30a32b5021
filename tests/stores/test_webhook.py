from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme

from dlmon import __version__
from dlmon.config.secrets import Secret
from dlmon.config.urls import StoreAddress
from dlmon.errors import EventsRefused, SettingsError, StoreUnavailable
from dlmon.stores.base import write_isolating
from dlmon.stores.webhook import WebhookStore
from tests.support.events import make_body, make_entry
from tests.support.webhook import Answer, Webhook


@pytest.fixture
def store(webhook: Webhook) -> Iterator[WebhookStore]:
    with WebhookStore(StoreAddress(webhook.url)) as store:
        yield store


def test_a_batch_is_one_post_of_a_json_array(store: WebhookStore, webhook: Webhook) -> None:
    batch = [make_entry(make_body()) for _ in range(3)]
    store.write(batch)
    (request,) = webhook.posts
    assert request.path == "/events"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == f"dlmon/{__version__}"
    assert request.events == [entry.event for entry in batch]


def test_the_same_batch_has_the_same_idempotency_key_and_another_one_has_another(
    webhook: Webhook,
) -> None:
    first, second = make_entry(make_body()), make_entry(make_body())
    for batch in ([first], [first], [second]):
        with WebhookStore(StoreAddress(webhook.url)) as store:
            store.write(batch)
    keys = [request.headers["Idempotency-Key"] for request in webhook.posts]
    assert keys[0] == keys[1] != keys[2]
    assert all(len(key) == 34 and key[0] == key[-1] == '"' for key in keys)


def test_batches_share_a_connection(store: WebhookStore, webhook: Webhook) -> None:
    webhook.answer = lambda _: Answer(200, b"thanks" * 1000)
    for _ in range(5):
        store.write([make_entry(make_body())])
    assert webhook.connections == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_concerns_the_events_refuses_them(
    store: WebhookStore, webhook: Webhook, status: int
) -> None:
    webhook.reply(Answer(status, b"no \x1b[31m\n such events"))
    with pytest.raises(EventsRefused, match=rf"{status}: no \ufffd\[31m such events"):
        store.write([make_entry(make_body())])


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404, 405, 408, 409, 429, 500, 502, 503])
def test_what_would_be_the_same_for_any_event_holds_them(
    store: WebhookStore, webhook: Webhook, status: int
) -> None:
    entry = make_entry(make_body())
    webhook.reply(Answer(status, b"try later"), Answer())
    with pytest.raises(StoreUnavailable, match=f"answers {status}"):
        store.write([entry])
    assert store.write([entry]).stored == [entry]


def test_a_batch_that_is_too_large_is_halved(store: WebhookStore, webhook: Webhook) -> None:
    webhook.answer = lambda request: Answer(413 if len(request.body) > 1000 else 200)
    batch = [make_entry(make_body()) for _ in range(20)]
    parts = list(write_isolating(store, [batch]))
    assert [entry for part in parts for entry in part.stored] == batch
    assert [pair for part in parts for pair in part.refused] == []


@pytest.mark.parametrize(
    "header",
    ["30", format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)],
    ids=["seconds", "date"],
)
def test_a_server_that_asks_for_a_pause_is_left_alone(
    store: WebhookStore, webhook: Webhook, header: str
) -> None:
    webhook.reply(Answer(429, headers={"Retry-After": header}), Answer())
    with pytest.raises(StoreUnavailable, match="429"):
        store.write([make_entry(make_body())])
    for attempt in (store.probe, lambda: store.write([make_entry(make_body())])):
        with pytest.raises(StoreUnavailable, match=r"asks to wait for \d+ s"):
            attempt()
    assert len(webhook.posts) == 1


def test_a_pause_that_is_over_is_over(store: WebhookStore, webhook: Webhook) -> None:
    webhook.reply(Answer(503, headers={"Retry-After": "1"}), Answer())
    entry = make_entry(make_body())
    with pytest.raises(StoreUnavailable):
        store.write([entry])
    asked = time.monotonic()
    while True:
        try:
            store.write([entry])
            break
        except StoreUnavailable:
            assert time.monotonic() < asked + 60
            time.sleep(0.02)
    assert time.monotonic() - asked >= 0.9


@pytest.mark.parametrize(
    "header",
    [
        *("soon", "-5", "", "Thu, 99 Foo 2026", "²", "1e9"),
        "Thu, 1 Jan 2026 00:00:00 +99999999999999",
        "Thu, 1 Jan 99999 00:00:00 GMT",
        "Thu, 1 Jan 2026 00:00:00 -9999",
        "Thu, 99999999999999999999 Jan 2026 00:00:00 GMT",
        "Thu, 1 Jan 2026 25:61:61 GMT",
        "Thu, 1 Jan 1970 00:00:00 -2359",
    ],
)
def test_a_pause_that_nobody_understands_is_none(
    store: WebhookStore, webhook: Webhook, header: str
) -> None:
    webhook.reply(Answer(503, headers={"Retry-After": header}), Answer())
    entry = make_entry(make_body())
    with pytest.raises(StoreUnavailable):
        store.write([entry])
    assert store.write([entry]).stored == [entry]


def test_after_a_failure_only_a_batch_can_tell_whether_it_works_again(
    store: WebhookStore, webhook: Webhook
) -> None:
    webhook.reply(Answer(401), Answer(401), Answer())
    with pytest.raises(StoreUnavailable, match="401"):
        store.write([make_entry(make_body())])
    with pytest.raises(StoreUnavailable, match="401"):
        store.probe()
    store.probe()
    bodies = {request.body for request in webhook.posts}
    assert (len(webhook.posts), len(bodies)) == (3, 1)


@pytest.mark.parametrize(
    ("status", "usable"), [(200, True), (404, True), (405, True), (501, True), (503, False)]
)
def test_at_the_start_any_answer_will_do_but_that_it_is_down(
    webhook: Webhook, status: int, usable: bool
) -> None:
    webhook.probed = Answer(status)
    address = StoreAddress(webhook.url)
    if usable:
        WebhookStore(address).close()
    else:
        with pytest.raises(StoreUnavailable, match="503"):
            WebhookStore(address)
    assert webhook.posts == []


def test_redirects_lead_nowhere(store: WebhookStore, webhook: Webhook) -> None:
    with Webhook() as inside:
        webhook.reply(Answer(307, headers={"Location": inside.url}))
        with pytest.raises(StoreUnavailable, match=r"307: redirects are not followed"):
            store.write([make_entry(make_body())])
        assert inside.requests == []


def test_an_answer_without_an_end_is_not_read_to_it(store: WebhookStore, webhook: Webhook) -> None:
    webhook.reply(Answer(422, b"x" * 50_000_000))
    with pytest.raises(EventsRefused) as caught:
        store.write([make_entry(make_body())])
    assert len(str(caught.value)) < 500


def test_a_connection_that_breaks_or_is_not_there_is_unavailable(
    store: WebhookStore, webhook: Webhook
) -> None:
    webhook.reply(Answer(0))
    with pytest.raises(StoreUnavailable, match="disconnected"):
        store.write([make_entry(make_body())])
    with pytest.raises(StoreUnavailable, match=r"http://127.0.0.1:1/\*\*\* cannot be used"):
        WebhookStore(StoreAddress("http://127.0.0.1:1/s3cret"))


def test_what_is_no_http_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = StoreAddress(f"https://127.0.0.1:{server.getsockname()[1]}/")
        server.settimeout(10)

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(1000)
                client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(StoreUnavailable):
            WebhookStore(address)
        thread.join()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def serving(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_certificates_are_verified(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    with Webhook(serving(authority, "127.0.0.1")) as webhook:
        address = StoreAddress(webhook.url)
        with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            WebhookStore(address)
        monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
        with WebhookStore(address) as store:
            store.write([make_entry(make_body())])
        assert len(webhook.taken) == 1
    with (
        Webhook(serving(authority, "example.com")) as other,
        pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        WebhookStore(StoreAddress(other.url))


@pytest.mark.parametrize(
    ("user", "password", "header"),
    [
        ("ada:pass@", None, "Basic YWRhOnBhc3M="),
        ("ada@", Secret("pass"), "Basic YWRhOnBhc3M="),
        ("", Secret("t0ken"), "Bearer t0ken"),
        ("", None, None),
    ],
)
def test_logins(webhook: Webhook, user: str, password: Secret | None, header: str | None) -> None:
    url = f"http://{user}{webhook.authority}/events?a=b"
    with WebhookStore(StoreAddress(url, password)) as store:
        store.write([make_entry(make_body())])
    assert [each.headers["Authorization"] for each in webhook.requests] == [header, header]
    assert webhook.posts[0].path == "/events?a=b"


def test_a_token_is_read_from_its_file_for_each_request(webhook: Webhook, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    with WebhookStore(StoreAddress(webhook.url, Secret.in_file(file))) as store:
        file.write_text("second\n")
        store.write([make_entry(make_body())])
        file.write_text("two\nlines\n")
        with pytest.raises(StoreUnavailable, match="no header"):
            store.write([make_entry(make_body())])
        file.unlink()
        with pytest.raises(StoreUnavailable, match="Cannot read the password file"):
            store.write([make_entry(make_body())])
    assert webhook.posts[0].headers["Authorization"] == "Bearer second"


@pytest.mark.parametrize(
    "url",
    [
        *("https://", "https:///events", "https://[::/"),
        *("https://example.com:99999/", "https://example.com:-1/", "https://ex\udcffample.com/"),
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="https://HOST/PATH"):
        WebhookStore(StoreAddress(url))


def test_cookies_are_not_kept(store: WebhookStore, webhook: Webhook) -> None:
    cookie = {"Set-Cookie": "session=s3cret; Path=/"}
    webhook.reply(Answer(503, headers=cookie), Answer(200, headers=cookie))
    for _ in range(2):
        with suppress(StoreUnavailable):
            store.write([make_entry(make_body())])
    store.write([make_entry(make_body())])
    assert len(webhook.posts) == 3
    assert [request.headers["Cookie"] for request in webhook.requests] == [None] * 4


PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in PROXIES:
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.usefixtures("no_proxies")
def test_a_proxy_is_used_and_named_when_it_does_not_answer(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = StoreAddress("http://hooks.invalid/events")
    monkeypatch.setenv("ALL_PROXY", f"http://ada:s3cret@{webhook.authority}")
    with WebhookStore(address) as store:
        store.write([make_entry(make_body())])
    assert [request.path for request in webhook.posts] == ["http://hooks.invalid/events"]
    monkeypatch.setenv("ALL_PROXY", "http://ada:s3cret@127.0.0.1:1")
    with pytest.raises(StoreUnavailable, match=r"\(by the proxy of ALL_PROXY\)\.$") as caught:
        WebhookStore(address)
    assert "s3cret" not in str(caught.value)


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize("no_proxy", ["127.0.0.0/8", "fd00::/8,[::1],127.0.0.1", "*"])
def test_a_host_in_no_proxy_is_reached_directly(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with WebhookStore(StoreAddress(webhook.url)) as store:
        store.write([make_entry(make_body())])
    assert len(webhook.taken) == 1


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTP_PROXY", "http://proxy\x7fs3cret:1"),
        ("all_proxy", "http://u:s3cret@[bad"),
        ("http_proxy", "s3cret://proxy:3128"),
        ("ALL_PROXY", "socks5h://u:s3cret@proxy:1080"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_and_not_shown(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"^{variable} ") as caught:
        WebhookStore(StoreAddress(webhook.url))
    assert "s3cret" not in f"{caught.value}{caught.value.__context__}"


@pytest.mark.parametrize(
    ("variable", "file"),
    [
        ("SSL_CERT_FILE", "s3cret/missing.pem"),
        ("SSL_CERT_FILE", "s3cret/empty.pem"),
        ("SSL_CERT_FILE", "s3cret"),
        ("SSL_CERT_DIR", "s3cret/missing"),
        ("SSLKEYLOGFILE", "s3cret/missing/keys"),
    ],
)
def test_a_tls_variable_that_names_nothing_usable_is_told_and_not_shown(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, file: str
) -> None:
    folder = tmp_path / "s3cret"
    folder.mkdir()
    (folder / "empty.pem").touch()
    monkeypatch.setenv(variable, str(tmp_path / file))
    with pytest.raises(SettingsError, match=f"^{variable} names what cannot be used") as caught:
        WebhookStore(StoreAddress("https://127.0.0.1:1/events"))
    assert "s3cret" not in str(caught.value)
    # Without TLS it does not matter.
    WebhookStore(StoreAddress(webhook.url)).close()
