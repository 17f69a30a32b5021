from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmon.config.settings import load_settings
from dlmon.config.urls import RabbitMQAddress
from dlmon.errors import SettingsError
from tests.support.configuration import address, load, refusal

pytestmark = pytest.mark.usefixtures("own_folders")

HIDDEN = "hunter2"


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
    @pytest.mark.slow
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

    def test_a_password_command_is_run_again_each_time(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        broker = address("amqp://u@h/", {"DLMON_BROKER_PASSWORD_COMMAND": f"cat '{file}'"})

        for token in ("first", "second"):
            file.write_text(f"{token}\nnot this line\n")
            assert broker.password.read() == token
        assert token not in repr(broker)

    @pytest.mark.parametrize(
        ("command", "reason"),
        [
            (f"sh -c 'echo {HIDDEN}; exit 3'", "sh failed with exit code 3"),
            (f"/nowhere/vault {HIDDEN}", "/nowhere/vault cannot be run: No such file or directory"),
            (r"printf '\377'", "printf printed something that is not UTF-8 text"),
        ],
    )
    def test_a_password_command_that_fails_is_named_and_no_more(
        self, command: str, reason: str
    ) -> None:
        password = address("amqp://u@h/", {"DLMON_BROKER_PASSWORD_COMMAND": command}).password
        with pytest.raises(SettingsError) as failed:
            password.read()
        assert str(failed.value) == f"The password command {reason}."

    @pytest.mark.parametrize("command", ["'", " "])
    def test_a_password_command_that_is_none_is_refused(self, command: str) -> None:
        assert "DLMON_BROKER_PASSWORD_COMMAND: expected a command" in refusal(
            environ={"DLMON_BROKER_PASSWORD_COMMAND": command}
        )

    def test_a_client_certificate_without_a_login_is_the_login(self) -> None:
        certificate = {"DLMON_BROKER_CERT_FILE": "c.pem"}
        assert address("amqps://h/", certificate).external
        assert not address("amqps://u:p@h/", certificate).external
        assert not address("amqp://h/", certificate).external
        assert str(address("amqps://h/", certificate)) == "amqps://h:5671/"

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
