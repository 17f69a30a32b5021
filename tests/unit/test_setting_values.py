"""A setting is checked where it is read: the answer is a value or one sentence."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmon.config.settings import Settings
from dlmon.config.urls import LocalAddress
from dlmon.config.values import SETTINGS
from dlmon.errors import SettingsError
from tests.support.configuration import address, load, refusal

pytestmark = pytest.mark.usefixtures("own_folders")

PATHS = [
    "broker_ca_file",
    "broker_cert_file",
    "broker_key_file",
    "broker_password_file",
    "store_password_file",
    "schema",
]
LONG = "x" * 5000
NOT_UTF8 = os.fsdecode(b"a\xff")  # as a variable or an argument brings it


class TestTexts:
    @pytest.mark.parametrize(
        "name", sorted(name for name, setting in SETTINGS.items() if not setting.may_be_empty)
    )
    def test_an_empty_value_in_the_file_is_refused(self, name: str) -> None:
        assert refusal(f'{name} = ""') == (
            f"{name} in dlmon.toml: expected a value, got an empty one: "
            "leave it out for the default."
        )

    @pytest.mark.parametrize("name", sorted(SETTINGS))
    def test_a_nul_is_refused_and_names_the_setting(self, name: str) -> None:
        assert refusal(f'{name} = "a\\u0000b"').startswith(f"{name} in dlmon.toml: expected")

    @pytest.mark.parametrize(
        "name",
        ["broker_user", "broker_password", "store_password", "connection_name", "namespace"],
    )
    def test_text_that_is_not_utf_8_is_refused(self, name: str) -> None:
        variable = f"DLMON_{name.upper()}"
        assert refusal(environ={variable: NOT_UTF8}).startswith(f"{variable}: expected")

    def test_a_path_need_not_be_utf_8(self) -> None:
        assert os.fsencode(load(schema=NOT_UTF8).schema or "") == b"a\xff"
        broker = load(broker=f"sqlite:///{NOT_UTF8}").broker
        assert isinstance(broker, LocalAddress)
        assert os.fsencode(broker.path) == b"a\xff"

    @given(st.sampled_from(sorted(SETTINGS)), st.text())
    def test_any_text_is_a_value_or_a_settings_error_in_a_short_line(
        self, name: str, text: str
    ) -> None:
        for given_text in (text, text * 1000, f"sqlite:///{text}", f"amqp://{text}@h/"):
            try:
                Settings.for_url("sqlite:///x", **{name: given_text})
            except SettingsError as error:
                assert len(str(error)) < 500  # noqa: PT017
                assert str(error).isprintable()  # noqa: PT017


class TestLengths:
    @pytest.mark.parametrize(
        ("url", "message"),
        [
            (f"amqp://{LONG}@h/", "the user has more than 255 bytes"),
            (f"amqp://h/{LONG}", "the virtual host has more than 255 bytes"),
            (f"amqp://h/{'%C3%A4' * 128}", "the virtual host has more than 255 bytes"),
            (f"amqp://{LONG}/", "expected HOST or HOST:PORT"),
            (f"amqp://{'a.' * 200}b/", "expected HOST or HOST:PORT"),
            ("amqp://a..b/", "expected HOST or HOST:PORT"),
        ],
    )
    def test_what_amqp_or_dns_cannot_carry_is_refused(self, url: str, message: str) -> None:
        assert refusal(broker=url).startswith(f"--broker: {message}")

    def test_the_longest_names_are_taken(self) -> None:
        user, vhost = "u" * 255, "ä" * 127
        broker = address(f"amqp://{user}@{'a' * 63}.{'b' * 63}/{vhost}")
        assert (broker.user, broker.vhost) == (user, vhost)

    @pytest.mark.parametrize(
        ("name", "text"), [("broker_user", LONG), ("connection_name", "ä" * 128)]
    )
    def test_a_name_that_is_too_long_is_refused_and_cut_in_the_message(
        self, name: str, text: str
    ) -> None:
        message = refusal(environ={f"DLMON_{name.upper()}": text})
        assert "255 bytes" in message
        assert len(message) < 200

    @pytest.mark.parametrize("name", ["broker_server_name", "metrics"])
    def test_a_host_that_cannot_be_looked_up_is_refused(self, name: str) -> None:
        for host in (LONG, "a..b", "a b", "a%00"):
            text = f"{host}:9100" if name == "metrics" else host
            assert f"{name.upper()}: expected" in refusal(environ={f"DLMON_{name.upper()}": text})

    def test_an_address_with_a_zone_is_a_host(self) -> None:
        assert load(environ={"DLMON_METRICS": "[fe80::1%eth0]:9"}).metrics == ("fe80::1%eth0", 9)


class TestUrls:
    @pytest.mark.parametrize(
        "url",
        [
            "amqp://u%ff@h/",
            "amqp://u:p%ff@h/",
            "amqp://h/%ff",
            "amqp://u%00@h/",
            "amqp://u:%00@h/",
            "amqp://h/%00",
            f"amqp://{NOT_UTF8}@h/",
            f"amqp://u:{NOT_UTF8}@h/",
            f"amqp://h/{NOT_UTF8}",
        ],
    )
    def test_a_part_of_a_broker_url_is_utf_8_without_nul(self, url: str) -> None:
        assert refusal(broker=url) == "--broker: expected UTF-8 text without NUL."

    @pytest.mark.parametrize("scheme", ["postgresql", "https"])
    @pytest.mark.parametrize("part", ["u%ff@h/", "u:p%00@h/", f"u:{NOT_UTF8}@h/", "h/%ff"])
    def test_a_part_of_a_store_url_is_too(self, scheme: str, part: str) -> None:
        assert refusal(store=f"{scheme}://{part}") == "--store: expected UTF-8 text without NUL."

    @pytest.mark.parametrize("url", ["https://h:99999/", f"postgresql://{LONG}/", "http://a..b"])
    def test_a_host_of_a_store_can_be_looked_up(self, url: str) -> None:
        assert refusal(store=url).startswith("--store: expected HOST or HOST:PORT")

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql:///events",
            "postgresql://h",
            "postgresql://u:p@a:1,[::1]:2,c/events?x=%20",
            "postgresql://:5433/events",
            "https://h/path?token=%C3%A4",
        ],
    )
    def test_every_other_url_of_a_store_is_kept_as_it_is(self, url: str) -> None:
        assert load(store=url).store.url == url


class TestNumbers:
    @pytest.mark.parametrize("text", ["0", "0.09", "-1", "3601", "nan", "1_0", "٣", "1e400"])
    def test_a_connect_timeout_is_a_time_in_which_something_can_connect(self, text: str) -> None:
        message = refusal(environ={"DLMON_CONNECT_TIMEOUT": text})
        assert message == f"DLMON_CONNECT_TIMEOUT: expected 0.1 to 3600 seconds, got '{text}'."

    @pytest.mark.parametrize("text", ["1_0", " 10", "10 ", "+10", "١٠", "0x10", "1e1", "9" * 5000])
    def test_a_whole_number_is_written_in_digits(self, text: str) -> None:
        assert "expected a whole number" in refusal(environ={"DLMON_HEARTBEAT": text})

    @pytest.mark.parametrize("port", ["²", "٣", "", "65536", "-1", "+1", " 1"])
    def test_a_port_is_written_in_digits(self, port: str) -> None:
        assert "expected PORT" in refusal(environ={"DLMON_METRICS": f"127.0.0.1:{port}"})


class TestTypesInTheFile:
    @pytest.mark.parametrize(
        ("toml", "message"),
        [
            ("namespace = 1.10", "namespace in dlmon.toml: expected text in quotes."),
            ("namespace = 2026-03-01", "namespace in dlmon.toml: expected text in quotes."),
            ("schema = true", "schema in dlmon.toml: expected text in quotes."),
            ("broker_user = 0123", "The configuration dlmon.toml is not TOML"),
            ("broker_password = 123", "broker_password in dlmon.toml: expected text in quotes."),
            ("keep = 30", "keep in dlmon.toml: expected text in quotes."),
            ("heartbeat = true", "heartbeat in dlmon.toml: expected a whole number or text"),
            ("heartbeat = 5.0", "heartbeat in dlmon.toml: expected a whole number or text"),
            ("declare = 1", "declare in dlmon.toml: expected true or false or text in quotes."),
            ("wait = 12:00:00", "wait in dlmon.toml: expected a whole number or a number or text"),
        ],
    )
    def test_a_value_of_another_type_is_refused_rather_than_spelled_anew(
        self, toml: str, message: str
    ) -> None:
        assert refusal(toml).startswith(message)

    def test_numbers_and_booleans_may_be_written_as_such_or_in_quotes(self) -> None:
        settings = load('heartbeat = "5"\nwait = 2\ndeclare = "no"\nmetrics = 9100')
        assert (settings.heartbeat, settings.wait, settings.declare) == (5, 2.0, False)
        assert settings.metrics == ("127.0.0.1", 9100)


class TestFile:
    def test_a_byte_order_mark_is_no_part_of_the_first_name(self) -> None:
        assert load('\ufeffnamespace = "a"').namespace == "a"

    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    @pytest.mark.parametrize(
        "again", ['namespace = "b"', '"namespace" = "b"', "'namespace' = 'b'", "[namespace]"]
    )
    def test_a_setting_that_stands_twice_is_refused(self, mark: str, again: str) -> None:
        message = refusal(f'{mark}namespace = "a"\n{again}')
        assert message.startswith("The configuration dlmon.toml is not TOML: ")

    @pytest.mark.parametrize("toml", ["a = " + "[" * 100_000, "a = " + "{a=" * 100_000])
    def test_a_file_that_is_nested_without_end_is_refused(self, toml: str) -> None:
        assert refusal(toml) == "The configuration dlmon.toml is nested too deeply."

    @pytest.mark.parametrize("name", ["/dev/zero", "large.toml"])
    def test_a_file_without_end_is_refused(self, name: str) -> None:
        Path("large.toml").write_text("# much\n" * 200_000)
        assert refusal(environ={"DLMON_CONFIG": name}) == (
            f"Cannot read the configuration {name}: it has more than 1,048,576 bytes."
        )

    @pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
    def test_a_file_in_another_encoding_is_refused(self, encoding: str) -> None:
        Path("other.toml").write_text('namespace = "ä"', encoding)
        assert refusal(environ={"DLMON_CONFIG": "other.toml"}) == (
            "The configuration other.toml is not TOML: not UTF-8 text."
        )

    def test_a_named_file_with_a_name_that_is_too_long_is_refused(self) -> None:
        message = refusal(environ={"DLMON_CONFIG": LONG})
        assert message.endswith("File name too long.")


class TestHome:
    """What nobody named is skipped, what somebody named is told."""

    @pytest.mark.parametrize("home", ["/dev/null", "/nowhere/at/all", "file"])
    def test_settings_that_need_no_home_are_read(
        self, home: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("HOME", str(tmp_path / home))  # an absolute one stays as it is
        for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            monkeypatch.delenv(variable)
        assert load(broker="amqp://h/").namespace == "dlmon"

    def test_a_configuration_file_that_cannot_be_looked_at_is_skipped(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        loop = tmp_path / "config"
        loop.symlink_to(loop)
        assert load().namespace == "dlmon"
        monkeypatch.setenv("XDG_CONFIG_HOME", f"/{LONG}")
        assert load().namespace == "dlmon"

    @pytest.mark.parametrize(
        "read",
        [
            lambda: load(broker="local"),
            lambda: load().store.url,
            lambda: str(load().store),
            lambda: load().store.path,
        ],
    )
    def test_what_needs_the_data_folder_says_how_to_do_without(
        self, read: Callable[[], object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_DATA_HOME", "/dev/null")
        with pytest.raises(SettingsError) as caught:
            read()
        assert str(caught.value).startswith(
            "There is no place for dlmon's data: /dev/null is not a folder. Name files by --broker"
        )

    @pytest.mark.parametrize("name", PATHS)
    def test_the_home_of_a_user_who_does_not_exist_is_refused(self, name: str) -> None:
        variable = f"DLMON_{name.upper()}"
        assert refusal(environ={variable: "~no-such-user/x"}) == (
            f"{variable}: the home folder '~no-such-user' is not known: write the whole path."
        )

    @pytest.mark.parametrize(
        "environ",
        [
            {"DLMON_BROKER": "sqlite:///~no-such-user/x"},
            {"DLMON_STORE": "sqlite:///~no-such-user/x"},
            {"DLMON_STORE": "ndjson:~no-such-user/x"},
            {"DLMON_CONFIG": "~no-such-user/x"},
        ],
    )
    def test_it_is_refused_in_urls_and_as_configuration_too(self, environ: dict[str, str]) -> None:
        assert "the home folder '~no-such-user' is not known" in refusal(environ=environ)


class TestForUrl:
    def test_it_reads_neither_variables_nor_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("dlmon.toml").write_text('namespace = "file"')
        monkeypatch.setenv("DLMON_NAMESPACE", "variable")
        assert Settings.for_url("amqp://localhost").namespace == "dlmon"

    def test_it_takes_other_settings_by_name(self) -> None:
        settings = Settings.for_url("amqp://h/", namespace="n", broker_user="u", wait=2)
        assert str(settings.broker) == "amqp://u:***@h:5672/"
        assert (settings.namespace, settings.wait) == ("n", 2.0)

    def test_it_refuses_by_name_what_cannot_be(self) -> None:
        with pytest.raises(SettingsError, match=r"^namespace: expected text in quotes"):
            Settings.for_url("amqp://h/", namespace=1.1)
        with pytest.raises(TypeError, match="namepsace"):
            Settings.for_url("amqp://h/", namepsace="n")
