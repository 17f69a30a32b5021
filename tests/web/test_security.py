"""Who may ask the server for what. The routes are enumerated, so that a new one is tested too."""

from __future__ import annotations

import base64
import json
import logging
import os
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from dlmon.config.secrets import Secret
from dlmon.config.settings import Settings
from dlmon.errors import UsageError
from dlmon.runtime.stop import Stop
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from dlmon.web.app import Page
from dlmon.web.options import ServeOptions
from dlmon.web.security import CHANGES_NOTHING, HEADERS, HEALTH
from tests.support.rejections import park, slow
from tests.support.thorough import repetitions
from tests.support.web import Served
from tests.web.conftest import Serving

ROUTES = [
    (method, route.path.replace("{name:path}", "main.js").replace("{", "").replace("}", ""))
    for route in Page(
        Settings.for_url("local"), ServeOptions(), Validator(load_schema()), Stop()
    ).app.routes
    if isinstance(route, Route)
    for method in sorted((route.methods or set()) - {"HEAD"})
]
WRITES = [path for method, path in ROUTES if method == "POST"]
ACTIONS = [path for path in WRITES if path not in CHANGES_NOTHING]


def test_the_routes_are_found() -> None:
    assert {"/", "/api/stream", "/api/report.csv"} <= {path for _, path in ROUTES}
    assert {"/api/actions/replay", "/api/jobs/job/cancel"} <= {*ACTIONS}
    assert {*CHANGES_NOTHING} < {*WRITES}


def test_every_route_is_described(page: Served) -> None:
    paths = page.json("/openapi.json")["paths"]
    described = {
        (method.upper(), path.replace("{", "").replace("}", ""))
        for path, methods in paths.items()
        for method in methods
    }
    assert described == {one for one in ROUTES if one[1].startswith("/api/")}
    posted = {path for path, methods in paths.items() if "post" in methods}
    assert "digest" in str(paths["/api/actions/discard"])
    assert {*CHANGES_NOTHING} < posted


def test_by_another_name_no_route_answers(acting: Served) -> None:
    for method, path in ROUTES:
        for host in ("evil.example", "127.0.0.1.evil.example", "evil@127.0.0.1", ""):
            answer = acting.browser.request(method, path, headers={"Host": host})
            assert answer.status_code in (400, 421), (method, path, host)


def test_without_a_session_no_route_answers_but_health(serving: Serving) -> None:
    page = serving(login=False, allow_actions=True)
    for method, path in ROUTES:
        answer = page.post(path) if method == "POST" else page.get(path)
        assert answer.status_code == (200 if path == HEALTH else 401), (method, path)


@pytest.mark.parametrize(
    "change",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://sub.localhost"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": ""},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "text/plain"},
        {"Content_Type": ""},
    ],
    ids=str,
)
def test_what_another_page_sends_is_refused_on_every_route(
    acting: Served, change: dict[str, str]
) -> None:
    for path in WRITES:
        assert acting.post(path, {}, **change).status_code == 403, path


def test_another_page_reads_nothing(page: Served) -> None:
    for site in ("cross-site", "same-site"):
        for method, path in ROUTES:
            if method == "GET" and path.startswith("/api/"):
                answer = page.get(path, headers={"Sec-Fetch-Site": site})
                assert answer.status_code == 403, path


def test_without_allow_actions_every_write_is_refused(page: Served) -> None:
    for path in ACTIONS:
        answer = page.post(path)
        assert answer.status_code == 403, path
        assert "--allow-actions" in answer.json()["hint"]


def test_every_answer_has_the_headers_that_protect_it(page: Served) -> None:
    for path in ("/", "/assets/none.js", "/api/state", "/api/none", "/none", HEALTH):
        answer = page.get(path)
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, path
    assert page.get("/api/state").headers["Cache-Control"] == "no-store"


def test_a_token_works_once_and_a_browser_without_a_cookie_has_another_printed(
    serving: Serving,
) -> None:
    page = serving()
    with httpx.Client(base_url=page.origin) as other:
        assert other.get(page.address).status_code == 401
        address = page.printed.get(timeout=5)
        assert address != page.address
        assert other.get("/").status_code == 401
        assert page.printed.empty()  # until this one is used
        answer = other.get(address)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        for attribute in ("HttpOnly", "SameSite=strict", "Path=/"):
            assert attribute in answer.headers["Set-Cookie"]
        assert other.get("/api/state").status_code == 200
        assert page.printed.empty()


def test_a_password_is_asked_for_and_names_the_user(serving: Serving, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse\n")
    page = serving(password=Secret.in_file(file), host="127.0.0.1")
    assert page.get("/").status_code == 401
    assert page.get("/").headers["WWW-Authenticate"].startswith("Basic")
    assert page.browser.get("/api/state", auth=("ada", "wrong")).status_code == 401
    answer = page.browser.get("/api/state", auth=("ada", "correct horse"))
    assert answer.json()["user"] == "ada"
    file.write_text("changed")
    assert page.browser.get("/api/state", auth=("ada", "changed")).status_code == 200
    for header in ("Basic", "Basic !", "Bearer x", f"Basic {base64.b64encode(b'x').decode()}"):
        assert page.get("/api/state", headers={"Authorization": header}).status_code == 401


def test_a_proxy_names_the_user(serving: Serving) -> None:
    page = serving(proxy_header="X-User")
    assert page.get("/api/state").status_code == 401
    answer = page.get("/api/state", headers={"X-User": "ada"})
    assert answer.json()["user"] == "ada"


@pytest.mark.parametrize(
    "options",
    [
        {"host": "10.0.0.5"},
        {"host": "example.org"},
        {"certificate": Path("a.pem")},
        {"password": Secret("a"), "proxy_header": "X-User"},
        {"password": Secret.in_file(Path("missing"))},
        {"password": Secret.in_file(Path(os.devnull))},
        {"proxy_header": ""},
        {"proxy_header": "X User"},
        {"proxy_header": "X-User:"},
        {"allowed_hosts": ("",)},
        {"allowed_hosts": ("a\nb",)},
        {"host": "[::1]"},
        {"host": "", "password": Secret("a")},
        {"host": "a\0b", "password": Secret("a")},
    ],
    ids=str,
)
def test_options_that_let_strangers_in_or_cannot_work_are_refused(
    options: dict[str, object],
) -> None:
    with pytest.raises(UsageError):
        ServeOptions(**options)  # type: ignore[arg-type]


def test_further_names_are_answered_to(serving: Serving) -> None:
    page = serving(allowed_hosts=("Dlmon.Example",))
    assert page.get(HEALTH, headers={"Host": "dlmon.example:80"}).status_code == 200


def test_no_secret_is_in_an_answer_or_in_the_log(
    serving: Serving, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    login = {"broker_password": "s3cret-b", "store_password": "s3cret-s"}
    url = "amqp://ada:s3cret-u@127.0.0.1:1/"
    page = serving(
        settings=Settings.for_url(url, store="postgresql://ada:s3cret-p@127.0.0.1:1/x", **login)
    )
    page.wait_for("/api/state", lambda state: state["broker"]["ok"] is False)
    said = [page.get(path).text for _, path in ROUTES if path != "/api/stream"]
    said.append(page.post("/api/rejects/look").text)
    token = page.address.partition("token=")[2]
    (cookie,) = page.browser.cookies.values()
    # Those of the browser in this test have all that it sends.
    own = [one for one in caplog.records if not one.name.startswith("http")]
    said += [one.getMessage() for one in own]
    for secret in ("s3cret", token, cookie):
        assert not any(secret in text for text in said)


@pytest.fixture
def fuzzed(acting: Served) -> Served:
    with acting.broker() as broker:
        park(broker, [slow()])
    acting.post("/api/rejects/look")
    return acting


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    ["group", "patch", "digest", "steps", "rate", "filters", "since", "by", "where", "threshold"]
)


@settings(
    max_examples=repetitions(ordinary=40, thorough=500),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    route=st.sampled_from([one for one in ROUTES if one[1] != "/api/stream"]),
    body=st.dictionaries(NAMES, VALUES, max_size=5) | VALUES,
    query=st.dictionaries(NAMES, st.text(max_size=20), max_size=4),
    segment=st.text(max_size=20),
)
def test_no_request_makes_the_server_fail(
    fuzzed: Served,
    route: tuple[str, str],
    body: object,
    query: dict[str, str],
    segment: str,
) -> None:
    method, path = route
    quoted = quote(segment, safe="")
    for name in ("/group", "/key", "/name", "/job"):
        path = path.replace(f"{name}/", f"/{quoted}/")
        path = path.removesuffix(name) + (f"/{quoted}" if path.endswith(name) else "")
    answer = fuzzed.post(path, body) if method == "POST" else fuzzed.get(path, params=query)
    assert answer.status_code < 500, (answer.status_code, answer.text)
    if "json" in answer.headers.get("content-type", "") and answer.status_code >= 400:
        assert json.loads(answer.text)["error"]


def test_a_body_that_is_too_large_or_no_json_is_refused(page: Served) -> None:
    headers = {
        "Origin": page.origin,
        "Sec-Fetch-Site": "same-origin",
        "Content-Type": "application/json",
    }
    for content, status in ((b"x" * 100_000, 413), (b"{", 400), (b"[]", 400), (os.urandom(9), 400)):
        answer = page.browser.post("/api/rejects/look", content=content, headers=headers)
        assert answer.status_code == status
