from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmon.errors import ExitCode, SettingsError
from dlmon.settings import (
    LocalAddress,
    RabbitMQAddress,
    Secret,
    Settings,
    config_file,
    data_folder,
    load_settings,
    sqlite_path,
)

HIDDEN = "hunter2"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the configuration of whoever runs it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def load(toml: str = "", environ: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    Path("dlmon.toml").write_text(toml, "utf-8")
    return load_settings(flags, environ or {})


def address(url: str, environ: Mapping[str, str] | None = None, toml: str = "") -> RabbitMQAddress:
    broker = load(toml, environ, broker=url).broker
    assert isinstance(broker, RabbitMQAddress)
    return broker


def refusal(toml: str = "", environ: Mapping[str, str] | None = None, **flags: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load(toml, environ, **flags)
    assert caught.value.exit_code == ExitCode.USAGE
    return str(caught.value)


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
        store=f"sqlite:///{data_folder()}/events.db",
        schema=None,
        max_event_bytes=65536,
        log_level="info",
    )


KINDS = [
    # setting, then three TOML values and what each is as a value: for the file, variable and flag
    ("namespace", ['"a"', '"b"', '"c"'], ["a", "b", "c"]),
    ("heartbeat", ["2", "3", "4"], [2, 3, 4]),
    ("max_event_bytes", ["1", "2", "3"], [1, 2, 3]),
    ("wait", ["1", "2.5", "3"], [1.0, 2.5, 3.0]),
    ("connect_timeout", ["0.1", "2", "3e1"], [0.1, 2.0, 30.0]),
    ("declare", ["false", "true", "false"], [False, True, False]),
    ("schema", ['"a.json"', '"b.json"', '"c.json"'], [Path(f"{c}.json") for c in "abc"]),
    ("store", ['"stdout"', '"ndjson:b"', '"ndjson:c"'], ["stdout", "ndjson:b", "ndjson:c"]),
    ("connection_name", ['"a"', '"b"', '"c"'], ["a", "b", "c"]),
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
    assert "expected letters" in refusal(namespace="ä" * 101)


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
        config_file().parent.mkdir(parents=True)
        config_file().write_text('namespace = "mine"')
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


class TestBrokerUrl:
    @pytest.mark.parametrize(
        ("url", "hosts"),
        [
            ("amqp://h", [("h", 5672)]),
            ("amqp://h/", [("h", 5672)]),
            ("amqp://h:1", [("h", 1)]),
            ("amqps://h/", [("h", 5671)]),
            ("amqps://h:65535/", [("h", 65535)]),
            ("amqp://a,b:2, c/", [("a", 5672), ("b", 2), ("c", 5672)]),
            ("amqp://192.0.2.1:5/", [("192.0.2.1", 5)]),
            ("amqp://[::1]/", [("::1", 5672)]),
            ("amqp://u:p@[2001:db8::1]:5,[::1]/", [("2001:db8::1", 5), ("::1", 5672)]),
            ("amqp://[fe80::1%eth0]:5/", [("fe80::1%eth0", 5)]),
        ],
    )
    def test_hosts_and_ports(self, url: str, hosts: list[tuple[str, int]]) -> None:
        assert address(url).hosts == tuple(hosts)

    @pytest.mark.parametrize(
        ("url", "vhost"),
        [
            ("amqp://h", "/"),
            ("amqp://h/", "/"),
            ("amqp://h/%2F", "/"),
            ("amqp://h/%2f", "/"),
            ("amqp://h/fleet", "fleet"),
            ("amqp://h/a%2Fb%20%C3%A4", "a/b ä"),
            ("amqp://h/a%40b%3Fc", "a@b?c"),
        ],
    )
    def test_vhosts(self, url: str, vhost: str) -> None:
        assert address(url).vhost == vhost

    @pytest.mark.parametrize(
        ("url", "user", "password"),
        [
            ("amqp://h/", "guest", "guest"),
            ("amqp://u:p@h/", "u", "p"),
            ("amqp://u@h/", "u", ""),
            ("amqp://u:@h/", "u", ""),
            ("amqp://u:p:q@h/", "u", "p:q"),
            ("amqp://u:p@q@h/", "u", "p@q"),
            ("amqp://u%3A%40:%2F%3F%23%25%40%C3%A4+@h/", "u:@", "/?#%@ä+"),
        ],
    )
    def test_logins(self, url: str, user: str, password: str) -> None:
        broker = address(url)
        assert (broker.user, broker.password.read()) == (user, password)

    @pytest.mark.parametrize(
        "url",
        [
            f"amqp://u:{HIDDEN}@h/",
            f"amqps://u:{HIDDEN}@a:1,b:2/v%2Fw",
            f"amqp://u%3Av:{HIDDEN}@[::1]:5/%C3%A4",
        ],
    )
    def test_an_address_as_it_is_shown_reads_back_the_same(self, url: str) -> None:
        broker = address(url)
        again = address(str(broker))

        assert HIDDEN not in str(broker)
        assert (again.hosts, again.vhost, again.user) == (broker.hosts, broker.vhost, broker.user)

    def test_tls_settings_are_for_amqps(self) -> None:
        toml = 'broker_ca_file = "~/ca.pem"\nbroker_server_name = "rabbit"'
        tls = address("amqps://h/", {"DLMON_BROKER_CERT_FILE": "c.pem"}, toml).tls

        assert tls is not None
        assert (tls.ca_file, tls.cert_file) == (Path.home() / "ca.pem", Path("c.pem"))
        assert (tls.key_file, tls.server_name) == (None, "rabbit")
        assert address("amqp://h/", toml=toml).tls is None

    @pytest.mark.parametrize(
        "url",
        [
            f"amqp://u:{HIDDEN}",
            f"amqp://u:{HIDDEN}@",
            f"amqp://u:{HIDDEN}@:5672/",
            f"amqp://u:{HIDDEN}@/v",
            f"amqp://u:{HIDDEN}@h:port/",
            f"amqp://u:{HIDDEN}@h:0/",
            f"amqp://u:{HIDDEN}@h:65536/",
            f"amqp://u:{HIDDEN}@h:-1/",
            f"amqp://u:{HIDDEN}@::1/",
            f"amqp://u:{HIDDEN}@[::1/",
            f"amqp://u:{HIDDEN}@[::1]x/",
            f"amqp://u:{HIDDEN}@a,,b/",
            f"amqp://u:{HIDDEN}@two words/",
            f"amqp://u:/{HIDDEN}@h/",
            f"amqp://u:{HIDDEN}/x@h/",
            f"amqp://u:1/{HIDDEN}@h/",
            f"amqp://u:x?{HIDDEN}/@h/",
            f"amqp://u:{HIDDEN}@h/v?heartbeat=5",
            f"amqp://u:{HIDDEN}@h?heartbeat=5",
            f"amqp://u:{HIDDEN}@h/#x",
            f"amqp:/u:{HIDDEN}@h/",
            f"amqp:u:{HIDDEN}@h/",
            f"ampq://u:{HIDDEN}@h/",
            f"u:{HIDDEN}@h",
            f"{HIDDEN}://u@h",
            f"{HIDDEN}",
            f"sqlite://u:{HIDDEN}@h",
        ],
    )
    def test_a_url_that_is_wrong_is_refused_without_showing_the_password(self, url: str) -> None:
        for environ in ({}, {"DLMON_BROKER": url}):
            with pytest.raises(SettingsError) as caught:
                load_settings({} if environ else {"broker": url}, environ)
            error: BaseException | None = caught.value
            while error is not None:
                assert HIDDEN not in str(error)
                error = error.__cause__

    @given(st.text().filter(lambda text: text not in ("", "local")))
    def test_any_text_is_an_address_or_a_settings_error(self, text: str) -> None:
        for url in (text, f"amqp://{text}", f"amqp://u:p@{text}"):
            try:
                broker = load_settings({"broker": url}, {}, Path("/dev/null")).broker
            except SettingsError:
                continue
            assert str(broker).startswith(("amqp://", "sqlite:///"))


class TestLogin:
    URL = "amqp://url:in-url@h/"

    @pytest.mark.parametrize("url", ["amqp://h/", URL])
    def test_a_login_beside_the_url_wins_where_both_come_from_the_same_source(
        self, url: str
    ) -> None:
        environ = {
            "DLMON_BROKER": url,
            "DLMON_BROKER_USER": "beside",
            "DLMON_BROKER_PASSWORD": "b:/@",
        }
        broker = load(environ=environ).broker

        assert isinstance(broker, RabbitMQAddress)
        assert (broker.user, broker.password.read()) == ("beside", "b:/@")

    def test_a_login_in_a_flag_wins_over_variables(self) -> None:
        environ = {"DLMON_BROKER_USER": "beside", "DLMON_BROKER_PASSWORD": "beside"}
        broker = address(self.URL, environ)

        assert (broker.user, broker.password.read()) == ("url", "in-url")

    def test_a_flag_without_a_login_leaves_it_to_variables(self) -> None:
        environ = {"DLMON_BROKER_USER": "beside", "DLMON_BROKER_PASSWORD": "b"}
        broker = address("amqp://h/", environ)

        assert (broker.user, broker.password.read()) == ("beside", "b")

    def test_a_flag_that_names_only_the_user_leaves_the_password_to_a_variable(self) -> None:
        broker = address("amqp://url@h/", {"DLMON_BROKER_PASSWORD": "b"}, 'broker_user = "toml"')

        assert (broker.user, broker.password.read()) == ("url", "b")

    def test_a_user_without_any_password_is_not_given_the_one_of_guest(self) -> None:
        assert address("amqp://h/", {"DLMON_BROKER_USER": "u"}).password.read() == ""

    def test_a_password_file_is_read_again_each_time(self, tmp_path: Path) -> None:
        file = tmp_path / "password"
        broker = address("amqp://u@h/", {"DLMON_BROKER_PASSWORD_FILE": str(file)})

        file.write_text(f"{HIDDEN}\n")
        assert broker.password.read() == HIDDEN
        file.write_text(" rotäted \r\n", "utf-8")
        assert broker.password.read() == " rotäted "

    def test_a_password_file_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        file = tmp_path / "password"
        password = address("amqp://u@h/", {"DLMON_BROKER_PASSWORD_FILE": str(file)}).password

        with pytest.raises(SettingsError) as missing:
            password.read()
        file.write_bytes(b"\xff")
        with pytest.raises(SettingsError) as binary:
            password.read()

        assert str(missing.value) == (
            f"Cannot read the password file {file}: No such file or directory."
        )
        assert str(binary.value) == f"The password file {file} is not UTF-8 text."

    def test_a_password_and_a_password_file_from_one_source_are_too_many(self) -> None:
        environ = {"DLMON_BROKER_PASSWORD": HIDDEN, "DLMON_BROKER_PASSWORD_FILE": "f"}
        assert refusal(environ=environ) == (
            "broker_password and broker_password_file are both set: unset one of them."
        )

    def test_a_password_in_a_variable_wins_over_a_password_file_in_the_file(self) -> None:
        toml = 'broker_password_file = "f"'
        broker = address("amqp://u@h/", {"DLMON_BROKER_PASSWORD": "variable"}, toml)
        assert broker.password.read() == "variable"

    def test_a_password_file_in_a_variable_wins_over_a_password_in_the_file(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / "f").write_text("rotated")
        environ = {"DLMON_BROKER_PASSWORD_FILE": str(tmp_path / "f")}
        broker = address("amqp://u@h/", environ, 'broker_password = "toml"')
        assert broker.password.read() == "rotated"


class TestSecrets:
    SOURCES: tuple[tuple[str, dict[str, str]], ...] = (
        (f'broker_password = "{HIDDEN}"', {}),
        ("", {"DLMON_BROKER_PASSWORD": HIDDEN}),
        ("", {"DLMON_BROKER": f"amqps://u:{HIDDEN}@h/"}),
    )

    @pytest.mark.parametrize(("toml", "environ"), SOURCES)
    def test_no_way_to_print_settings_shows_a_password(
        self, toml: str, environ: dict[str, str]
    ) -> None:
        settings = load(toml, environ)
        broker = settings.broker
        assert isinstance(broker, RabbitMQAddress)
        assert broker.password.read() == HIDDEN

        for shown in (settings, broker, broker.password):
            assert HIDDEN not in f"{shown} {shown!r} {[shown]}"
        assert "***" in repr(settings)

    def test_a_secret_stays_secret_beside_a_setting_that_is_wrong(self) -> None:
        toml = f'broker_password = "{HIDDEN}"\n'
        for rest in ("heartbeat = 1", "hartbeat = 5", "broken", 'broker_password = "again"'):
            assert HIDDEN not in refusal(toml + rest)
        assert HIDDEN not in refusal(f'broker_password = ["{HIDDEN}"]')


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
        assert sqlite_path(url) == path
        assert load(broker=url).broker == LocalAddress(path)
        assert str(LocalAddress(path)) == url

    def test_a_tilde_is_the_home_folder(self) -> None:
        assert sqlite_path("sqlite:///~/events.db") == Path.home() / "events.db"

    @pytest.mark.parametrize(
        "url", ["sqlite:", "sqlite://", "sqlite:///", "sqlite://events.db", "sqlite:///:memory:"]
    )
    def test_a_url_without_a_file_is_refused_with_the_right_form(self, url: str) -> None:
        assert refusal(broker=url) == (
            "A SQLite URL names a file: write sqlite:///PATH, and sqlite:////PATH "
            "where the path starts with a slash."
        )

    def test_local_is_a_file_in_the_data_folder(self) -> None:
        assert load(broker="local").broker == LocalAddress(data_folder() / "broker.db")

    def test_a_login_beside_a_local_broker_is_for_another_one(self) -> None:
        environ = {"DLMON_BROKER_USER": "u", "DLMON_BROKER_PASSWORD": "p"}
        assert isinstance(load(environ=environ, broker="local").broker, LocalAddress)
