"""Proxy and TLS variables, as the webhook store takes them from the environment."""

from __future__ import annotations

import pytest

from dlmon.errors import SettingsError
from dlmon.stores.http_environment import find_proxy

PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("scheme", "environ", "variable"),
    [
        ("https", {"HTTPS_PROXY": PROXY}, "HTTPS_PROXY"),
        ("https", {"HTTPS_PROXY": PROXY, "https_proxy": PROXY}, "https_proxy"),
        ("https", {"HTTP_PROXY": PROXY}, None),
        ("http", {"HTTP_PROXY": "proxy:3128", "ALL_PROXY": PROXY}, "HTTP_PROXY"),
        ("http", {"ALL_PROXY": PROXY}, "ALL_PROXY"),
        ("http", {"HTTP_PROXY": "", "all_proxy": "http://u:p@[::1]:3128"}, "all_proxy"),
    ],
)
def test_the_proxy_is_chosen_by_scheme(
    scheme: str, environ: dict[str, str], variable: str | None
) -> None:
    found = find_proxy(scheme, "example.com", None, environ)
    assert (found and found.variable) == variable


@pytest.mark.parametrize(
    ("host", "port", "no_proxy", "direct"),
    [
        ("example.com", 443, "example.com", True),
        ("hooks.example.com", 443, "localhost, .example.com", True),
        ("hooks.example.com", 443, "*.EXAMPLE.com", True),
        ("badexample.com", 443, "example.com", False),
        ("example.com", 443, "example.com:8443", False),
        ("example.com", 8443, "example.com:8443", True),
        ("example.com", 443, "*", True),
        ("example.com", 443, "", False),
        ("10.1.2.3", 443, "10.0.0.0/8", True),
        ("11.1.2.3", 443, "10.0.0.0/8", False),
        ("fd00::7", 443, "fd00::/8", True),
        ("fd00::7", 443, "[fd00::/8]", True),
        ("::1", 443, "[::1]", True),
        ("::1", 443, "::1", True),
        ("::1", 8443, "[::1]:8443", True),
        ("::1", 443, "[::1]:8443", False),
        ("example.com", 443, "fd00::/8,[::1],http://[,::::,%", False),
    ],
)
def test_no_proxy_lists_hosts_domains_and_networks_of_both_families(
    host: str, port: int, no_proxy: str, direct: bool
) -> None:
    environ = {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}
    assert (find_proxy("https", host, port, environ) is None) == direct


@pytest.mark.parametrize(
    "value",
    [
        "socks4://s3cret:1",
        "s3cret://proxy:1",
        "http://u:s3cret@",
        "http://u:s3cret@[bad",
        "http://u:s3cret@proxy:99999",
        "http://u:s3cret@proxy:port",
        ":::s3cret",
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_by_its_variable_alone(value: str) -> None:
    with pytest.raises(SettingsError, match=r"^ALL_PROXY is not a proxy") as caught:
        find_proxy("https", "example.com", 443, {"ALL_PROXY": value})
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert find_proxy("https", "example.com", 443, {"ALL_PROXY": value, "NO_PROXY": "*"}) is None


def test_a_socks_proxy_without_its_library_is_told() -> None:
    with pytest.raises(SettingsError, match=r"^all_proxy names a SOCKS proxy.*pip install socksio"):
        find_proxy("https", "example.com", 443, {"all_proxy": "socks5://u:s3cret@proxy:1080"})
