"""`dlmon serve --cert --key`: what browsers see of it, and who comes in."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import trustme

from dlmon.config.secrets import Secret
from dlmon.errors import UsageError
from dlmon.web.options import ServeOptions
from dlmon.web.server import check_certificate
from tests.support.web import Served
from tests.web.conftest import Serving

Pem = tuple[Path, Path]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def pem(authority: trustme.CA, tmp_path: Path) -> Pem:
    """A certificate for this machine, and its key."""
    issued = authority.issue_cert("localhost", "127.0.0.1")
    certificate, key = tmp_path / "page.pem", tmp_path / "page.key"
    issued.private_key_pem.write_to_path(key)
    for part in issued.cert_chain_pems:
        part.write_to_path(certificate, append=True)
    return certificate, key


@pytest.fixture
def serving_tls(serving: Serving, pem: Pem) -> Callable[..., Served]:
    """Starts a server with the certificate; nobody is logged in."""
    certificate, key = pem
    return lambda **options: serving(login=False, certificate=certificate, key=key, **options)


@pytest.fixture
def trusting(authority: trustme.CA) -> Callable[[Served], httpx.Client]:
    """A browser that trusts the authority, and no other."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return lambda page: httpx.Client(base_url=page.origin, verify=context)


Trusting = Callable[[Served], httpx.Client]


def test_a_token_is_exchanged_for_a_cookie_that_goes_over_https_only(
    serving_tls: Callable[..., Served], trusting: Trusting
) -> None:
    page = serving_tls()
    assert page.address.startswith("https://127.0.0.1:")
    with trusting(page) as browser:
        assert browser.get("/").status_code == 401
        answer = browser.get(page.address)
        assert answer.status_code == 303
        assert {"Secure", "HttpOnly", "SameSite=strict"} <= {
            *answer.headers["Set-Cookie"].split("; ")
        }
        assert browser.get("/api/state").status_code == 200
        (cookie,) = browser.cookies.jar
        assert cookie.secure


def test_a_browser_that_does_not_trust_the_certificate_sends_nothing(
    serving_tls: Callable[..., Served],
) -> None:
    page = serving_tls()
    with httpx.Client(base_url=page.origin) as browser, pytest.raises(httpx.ConnectError):
        browser.get(page.address)
    with httpx.Client() as plain, pytest.raises(httpx.TransportError):
        plain.get(page.address.replace("https", "http"))


def test_a_write_has_to_come_from_the_page_under_https(
    serving_tls: Callable[..., Served], trusting: Trusting
) -> None:
    page = serving_tls()
    with trusting(page) as browser:
        browser.get(page.address)
        headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
        for origin, status in ((page.origin, 200), (page.origin.replace("https", "http"), 403)):
            answer = browser.post(
                "/api/rejects/look", content="{}", headers={**headers, "Origin": origin}
            )
            assert answer.status_code == status, origin


def test_a_password_is_asked_for(
    serving_tls: Callable[..., Served], trusting: Trusting, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse\n")
    page = serving_tls(password=Secret.in_file(file))
    assert "token=" not in page.address
    with trusting(page) as browser:
        assert browser.get("/").status_code == 401
        assert browser.get("/", auth=("ada", "battery")).status_code == 401
        answer = browser.get("/api/state", auth=("ada", "correct horse"))
        assert answer.json()["user"] == "ada"


def test_a_proxy_may_have_a_certificate_of_its_own_before_that_of_the_server(
    serving: Serving, serving_tls: Callable[..., Served], trusting: Trusting
) -> None:
    page = serving_tls(proxy_header="X-User")
    with trusting(page) as proxy:
        assert proxy.get("/api/state").status_code == 401
        assert proxy.get("/api/state", headers={"X-User": "ada"}).json()["user"] == "ada"


def test_behind_a_proxy_with_https_the_page_may_write(serving: Serving) -> None:
    page = serving(login=False, proxy_header="X-User", allowed_hosts=("dlmon.example",))
    for origin, status in (
        ("https://dlmon.example", 200),
        ("http://dlmon.example", 200),
        ("https://evil.example", 403),
    ):
        headers = {"Host": "dlmon.example", "X_User": "ada", "Origin": origin}
        assert page.post("/api/rejects/look", **headers).status_code == status, origin


def test_a_key_of_another_certificate_is_refused_in_words(
    pem: Pem, authority: trustme.CA, tmp_path: Path
) -> None:
    other = tmp_path / "other.key"
    authority.issue_cert("localhost").private_key_pem.write_to_path(other)
    for certificate, key in ((pem[0], other), (pem[1], pem[1]), (tmp_path / "none", pem[1])):
        with pytest.raises(UsageError, match="have to be a certificate and its key"):
            check_certificate(ServeOptions(certificate=certificate, key=key))
