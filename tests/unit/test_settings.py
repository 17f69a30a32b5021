from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dlmon.config.paths import config_file, data_file
from dlmon.config.secrets import Secret
from dlmon.config.settings import Settings, load_settings
from dlmon.config.urls import LocalAddress, RabbitMQAddress, StoreAddress
from dlmon.errors import SettingsError
from tests.support.configuration import load, refusal

pytestmark = pytest.mark.usefixtures("own_folders")


def test_defaults_are_rabbitmq_on_this_machine_and_a_store_in_the_data_folder() -> None:
    settings = load_settings({}, {})

    assert settings == Settings(
        broker=RabbitMQAddress((("localhost", 5672),), "/", "guest", Secret("guest"), None),
        namespace="dlmon",
        declare=True,
        connection_name="",
        heartbeat=30,
        connect_timeout=10.0,
        wait=0.0,
        store=StoreAddress(),
        keep=None,
        schema=None,
        max_event_bytes=65536,
        log_level="info",
        log_format="auto",
        metrics=None,
        management=None,
    )
    assert settings == Settings()
    assert settings.store.url == f"sqlite:///{data_file('events.db')}"


KINDS = [
    # setting, then three TOML values and what each is as a value: for the file, variable and flag
    ("namespace", ['"a"', '"b"', '"c"'], ["a", "b", "c"]),
    ("heartbeat", ["2", "3", "4"], [2, 3, 4]),
    ("max_event_bytes", ["1", "2", "3"], [1, 2, 3]),
    ("wait", ["1", "2.5", "3"], [1.0, 2.5, 3.0]),
    ("connect_timeout", ["0.1", "2", "3e1"], [0.1, 2.0, 30.0]),
    ("declare", ["false", "true", "false"], [False, True, False]),
    ("schema", ['"a.json"', '"b.json"', '"c.json"'], [Path(f"{c}.json") for c in "abc"]),
    (
        "store",
        ['"stdout"', '"ndjson:b"', '"ndjson:c"'],
        [StoreAddress("stdout"), StoreAddress("ndjson:b"), StoreAddress("ndjson:c")],
    ),
    (
        "keep",
        ['"90s"', '"12h"', '"30d"'],
        [timedelta(seconds=90), timedelta(hours=12), timedelta(days=30)],
    ),
    ("connection_name", ['"a"', '"b"', '"c"'], ["a", "b", "c"]),
    (
        "management",
        ['"http://a"', '"https://b:15671"', '"http://[::1]:80/prefix"'],
        ["http://a", "https://b:15671", "http://[::1]:80/prefix"],
    ),
    ("log_level", ['"debug"', '"ERROR"', '"warning"'], ["debug", "error", "warning"]),
    (
        "broker",
        [f'"sqlite:///{c}"' for c in "abc"],
        [LocalAddress(Path(c)) for c in "abc"],
    ),
]


@pytest.mark.parametrize(("name", "texts", "values"), KINDS, ids=[kind[0] for kind in KINDS])
def test_a_flag_wins_over_a_variable_and_a_variable_over_the_file(
    name: str, texts: list[str], values: list[Any]
) -> None:
    toml = f"{name} = {texts[0]}"
    environ = {f"DLMON_{name.upper()}": texts[1].strip('"')}
    flags = {name: texts[2].strip('"')}

    assert getattr(load(toml), name) == values[0]
    assert getattr(load(toml, environ), name) == values[1]
    assert getattr(load(toml, environ, **flags), name) == values[2]
    assert getattr(load(toml, environ, **{name: None}), name) == values[1]


@pytest.mark.parametrize("text", ["30", "0d", "0.0h", "-1d", "d", "1 d", "ever"])
def test_an_age_is_a_duration_that_is_not_zero(text: str) -> None:
    assert "30d" in refusal(keep=text)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ada:s3cret@db:5432/events", "postgresql://ada:***@db:5432/events"),
        ("postgresql://ada@[::1]/events?password=s3cret", "postgresql://ada@[::1]/events"),
        ("postgresql://ada:s3cret@a:1,b:2/events", "postgresql://ada:***@a:1,b:2/events"),
        ("postgresql:///events", "postgresql:///events"),
        ("https://ada:s3cret@example.com", "https://ada:***@example.com"),
        ("https://example.com/hooks/s3cret", "https://example.com/***"),
        ("https://example.com?token=s3cret", "https://example.com/***"),
        ("mysql://ada:s3cret@db/events", "mysql://***"),
        ("sqlite:////srv/events.db", "sqlite:////srv/events.db"),
        ("ndjson:events.ndjson", "ndjson:events.ndjson"),
    ],
)
def test_a_store_is_shown_without_its_secrets(url: str, shown: str) -> None:
    settings = load(environ={"DLMON_STORE": url, "DLMON_STORE_PASSWORD": "s3cret"})
    assert str(settings.store) == shown
    assert "s3cret" not in repr(settings)
    assert settings.store.url == url
    assert settings.store.password is not None
    assert settings.store.password.read() == "s3cret"


@pytest.mark.parametrize("character", "/?#@:")
def test_a_password_with_characters_of_urls_is_refused_and_not_shown(character: str) -> None:
    url = f"postgresql://ada:5{character}s3cret@db/events"
    message = refusal(environ={"DLMON_STORE": url})
    assert "%40" in message
    assert "s3cret" not in message + str(StoreAddress(url)) + repr(StoreAddress(url))


def test_the_password_of_the_store_can_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    password = load(environ={"DLMON_STORE_PASSWORD_FILE": str(file)}).store.password
    assert password is not None
    assert password.read() == "s3cret"


@pytest.mark.parametrize("url", ["http://ada:s3cret@host", "host:15672", "ftp://a", "http:///"])
def test_the_management_url_is_one_without_a_login(url: str) -> None:
    message = refusal(environ={"DLMON_MANAGEMENT": url})
    assert "DLMON_MANAGEMENT: expected http://HOST" in message
    assert "s3cret" not in message


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load('namespace = "a"', {"DLMON_NAMESPACE": ""}).namespace == "a"


def test_flags_that_typer_has_parsed_already_are_taken_as_they_are() -> None:
    settings = load(declare=False, wait=2.5, max_event_bytes=10, schema=Path("s.json"))

    assert (settings.declare, settings.wait) == (False, 2.5)
    assert (settings.max_event_bytes, settings.schema) == (10, Path("s.json"))


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "on"])
def test_many_words_switch_something_on(text: str) -> None:
    assert load("declare = false", {"DLMON_DECLARE": text}).declare is True


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "off"])
def test_many_words_switch_something_off(text: str) -> None:
    assert load(environ={"DLMON_DECLARE": text}).declare is False


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"DLMON_DECLARE": "maybe"}, "DLMON_DECLARE: expected true or false, got 'maybe'."),
        (
            {"DLMON_HEARTBEAT": "1"},
            "DLMON_HEARTBEAT: expected a whole number from 2 to 3600, got '1'.",
        ),
        (
            {"DLMON_HEARTBEAT": "3601"},
            "DLMON_HEARTBEAT: expected a whole number from 2 to 3600, got '3601'.",
        ),
        (
            {"DLMON_HEARTBEAT": "soon"},
            "DLMON_HEARTBEAT: expected a whole number from 2 to 3600, got 'soon'.",
        ),
        (
            {"DLMON_MAX_EVENT_BYTES": "0"},
            "DLMON_MAX_EVENT_BYTES: expected a whole number from 1 to 16777216, got '0'.",
        ),
        ({"DLMON_WAIT": "-1"}, "DLMON_WAIT: expected a number of seconds, got '-1'."),
        ({"DLMON_WAIT": "nan"}, "DLMON_WAIT: expected a number of seconds, got 'nan'."),
        ({"DLMON_WAIT": "inf"}, "DLMON_WAIT: expected a number of seconds, got 'inf'."),
        ({"DLMON_WAIT": "1 min"}, "DLMON_WAIT: expected a number of seconds, got '1 min'."),
        (
            {"DLMON_NAMESPACE": "a#b"},
            "DLMON_NAMESPACE: expected letters, digits, dots, dashes or underscores, got 'a#b'.",
        ),
        (
            {"DLMON_LOG_LEVEL": "loud"},
            "DLMON_LOG_LEVEL: expected one of debug, info, warning, error, got 'loud'.",
        ),
        (
            {"DLMON_BROKER": "http://localhost"},
            "DLMON_BROKER: expected amqp://HOST/, amqps://HOST/, sqlite:///PATH or local.",
        ),
    ],
)
def test_a_bad_variable_is_named_with_what_would_be_right(
    environ: dict[str, str], message: str
) -> None:
    assert refusal(environ=environ) == message


def test_a_bad_flag_is_named_as_it_is_typed() -> None:
    assert refusal(max_event_bytes=0).startswith("--max-event-bytes: expected a whole number")


def test_a_bad_value_in_a_file_is_named_with_the_file() -> None:
    assert refusal("heartbeat = 1").startswith("heartbeat in dlmon.toml: expected a whole number")


def test_a_name_that_is_too_long_for_a_queue_is_refused() -> None:
    assert load(namespace="ä" * 100).namespace == "ä" * 100
    assert "expected at most 200 bytes, got 202" in refusal(namespace="ä" * 101)


class TestFiles:
    def test_a_named_file_is_read_instead_of_the_usual_ones(self, tmp_path: Path) -> None:
        other = tmp_path / "other.toml"
        other.write_text('namespace = "other"')
        Path("dlmon.toml").write_text('namespace = "here"\nheartbeat = 9')

        by_flag = load_settings({}, {}, other)
        by_variable = load_settings({}, {"DLMON_CONFIG": str(other)})

        assert (by_flag.namespace, by_flag.heartbeat) == ("other", 30)
        assert by_variable == by_flag

    def test_the_folder_one_is_in_comes_before_the_users_own(self) -> None:
        own = config_file()
        assert own is not None
        own.parent.mkdir(parents=True)
        own.write_text('namespace = "mine"')
        assert load_settings({}, {}).namespace == "mine"

        Path("dlmon.toml").write_text('namespace = "here"')
        assert load_settings({}, {}).namespace == "here"

    def test_a_tilde_in_a_variable_is_the_home_folder(self) -> None:
        (Path.home() / "dlmon.toml").parent.mkdir()
        (Path.home() / "dlmon.toml").write_text('namespace = "home"')

        assert load_settings({}, {"DLMON_CONFIG": "~/dlmon.toml"}).namespace == "home"

    def test_a_named_file_must_exist(self) -> None:
        with pytest.raises(SettingsError, match=r"^There is no configuration file gone\.toml\.$"):
            load_settings({}, {}, Path("gone.toml"))

    def test_a_folder_is_no_configuration_file(self) -> None:
        Path("dlmon.toml").mkdir()
        with pytest.raises(SettingsError) as caught:
            load_settings({}, {})
        assert str(caught.value) == "Cannot read the configuration dlmon.toml: Is a directory."

    @pytest.mark.parametrize("content", [b"namespace = ", b"\xff\xfe"])
    def test_a_file_that_is_no_toml_is_named(self, content: bytes) -> None:
        Path("dlmon.toml").write_bytes(content)
        with pytest.raises(SettingsError, match=r"^The configuration dlmon\.toml is not TOML: "):
            load_settings({}, {})

    def test_a_misspelt_setting_is_met_with_the_one_that_was_meant(self) -> None:
        assert refusal("hartbeat = 5") == (
            "dlmon.toml has an unknown setting 'hartbeat'. Did you mean 'heartbeat'?"
        )
        assert refusal("zzz = 5") == "dlmon.toml has an unknown setting 'zzz'."

    @pytest.mark.parametrize("toml", ['namespace = ["a"]', '[broker]\nurl = "amqp://localhost"'])
    def test_a_setting_is_one_value(self, toml: str) -> None:
        assert refusal(toml).endswith(" in dlmon.toml: expected one value.")


class TestSqlite:
    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("sqlite:///events.db", Path("events.db")),
            ("sqlite:///folder/events.db", Path("folder/events.db")),
            ("sqlite:////var/lib/events.db", Path("/var/lib/events.db")),
            ("sqlite:///a b?c#d%20.db", Path("a b?c#d%20.db")),
        ],
    )
    def test_paths(self, url: str, path: Path) -> None:
        assert load(broker=url).broker == LocalAddress(path)
        assert str(LocalAddress(path)) == url

    def test_a_tilde_is_the_home_folder(self) -> None:
        assert load(broker="sqlite:///~/events.db").broker == LocalAddress(
            Path.home() / "events.db"
        )
        assert load(store="ndjson:~/events").store.path == Path.home() / "events"

    @pytest.mark.parametrize(
        "url", ["sqlite:", "sqlite://", "sqlite:///", "sqlite://events.db", "sqlite:///:memory:"]
    )
    def test_a_url_without_a_file_is_refused_with_the_right_form(self, url: str) -> None:
        assert refusal(broker=url) == (
            "--broker: a SQLite URL names a file: write sqlite:///PATH, and sqlite:////PATH "
            "where the path starts with a slash."
        )

    def test_local_is_a_file_in_the_data_folder(self) -> None:
        assert load(broker="local").broker == LocalAddress(data_file("broker.db"))

    def test_a_login_beside_a_local_broker_is_for_another_one(self) -> None:
        environ = {"DLMON_BROKER_USER": "u", "DLMON_BROKER_PASSWORD": "p"}
        assert isinstance(load(environ=environ, broker="local").broker, LocalAddress)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9100", ("127.0.0.1", 9100)),
        ("0.0.0.0:9100", ("0.0.0.0", 9100)),  # noqa: S104  (nobody listens)
        ("[::1]:0", ("::1", 0)),
    ],
)
def test_metrics_are_answered_on_loopback_unless_a_host_is_given(
    text: str, address: tuple[str, int]
) -> None:
    assert load(environ={"DLMON_METRICS": text}).metrics == address


@pytest.mark.parametrize(
    ("name", "value"), [("METRICS", "http"), ("METRICS", "h:70000"), ("LOG_FORMAT", "xml")]
)
def test_what_is_no_port_and_no_format_is_refused(name: str, value: str) -> None:
    assert f"DLMON_{name}: expected" in refusal(environ={f"DLMON_{name}": value})


def test_the_place_of_a_store_has_its_parameters_and_no_password() -> None:
    url = "postgresql://ada:s3cret@db/events?options=-csearch_path%3Dmine&"
    places = {
        StoreAddress(url + more).place
        for more in ("sslpassword=s3cret", "pass%77ord=s3cret", "PASSWORD=other#password=x", "")
    }
    assert places == {"postgresql://ada:***@db/events?options=-csearch_path%3Dmine"}
    assert StoreAddress("sqlite:///events.db").place == "sqlite:///events.db"


def test_the_flags_that_name_a_topology_lead_to_the_same() -> None:
    plain = Settings.for_url("amqp://rabbit/", namespace="fleet")
    assert plain.topology_flags == ["--namespace", "fleet"]
    stream = Settings.for_url("amqp://rabbit/", arrivals_type="stream", retain="36h")
    words = stream.topology_flags
    given = {
        flag.removeprefix("--").replace("-", "_"): value
        for flag, value in zip(words[::2], words[1::2], strict=True)
    }
    assert Settings.for_url("amqp://rabbit/", **given) == stream
