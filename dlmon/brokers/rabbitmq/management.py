"""What RabbitMQ's management API says of a queue: AMQP shows neither arguments nor policies."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import (
    HTTPRedirectHandler,
    HTTPSHandler,
    ProxyHandler,
    Request,
    build_opener,
)

import orjson

from dlmon.brokers.rabbitmq.tls import tls_context
from dlmon.config.urls import RabbitMQAddress

_HTTP_PORT = 15672
_HTTPS_PORT = 15671
_MAX_ANSWER = 1024 * 1024  # bytes
_TIMEOUT = 3.0


class NotShown(Exception):
    """The API cannot be asked, or does not answer; says why."""


@dataclass(frozen=True, slots=True)
class QueueDetails:
    """A queue as the API describes it.

    arguments: what it was declared with. policies: the names of those that apply. effective: what
    they define together. durable: it is there after a restart. auto_delete: it is deleted once
    nothing consumes from it any more.
    """

    kind: str
    arguments: dict[str, Any]
    policies: tuple[str, ...]
    effective: dict[str, Any]
    durable: bool = True
    auto_delete: bool = False


def urls(address: RabbitMQAddress, url: str | None) -> list[str]:
    """Where the API may answer: `url`, or the usual port of each host of the broker."""
    if url is not None:
        return [url.rstrip("/")]
    scheme, port = ("http", _HTTP_PORT) if address.tls is None else ("https", _HTTPS_PORT)
    hosts = (f"[{host}]" if ":" in host else host for host, _ in address.hosts)
    return [f"{scheme}://{host}:{port}" for host in hosts]


class _NoRedirects(HTTPRedirectHandler):
    """Makes an error of an answer that leads elsewhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _read(response: Any) -> bytes:
    """The whole answer, unless it is too long or takes too long."""
    deadline = time.monotonic() + _TIMEOUT
    answer = b""
    while part := response.read1(_MAX_ANSWER):
        answer += part
        if len(answer) > _MAX_ANSWER or time.monotonic() > deadline:
            raise ValueError("the answer does not end")
    return answer


def read_queue(url: str, address: RabbitMQAddress, name: str) -> QueueDetails:
    """Raises: NotShown."""
    if address.external:
        raise NotShown("it knows no logins by client certificate")
    login = base64.b64encode(f"{address.user}:{address.password.read()}".encode()).decode()
    request = Request(  # noqa: S310  (the setting is http or https)
        f"{url}/api/queues/{quote(address.vhost, safe='')}/{quote(name, safe='')}",
        headers={"Authorization": f"Basic {login}"},
    )
    # No proxy and no redirect: the password goes to this host and nowhere else.
    handlers: list[Any] = [ProxyHandler({}), _NoRedirects()]
    if address.tls is not None and url.startswith("https:"):
        handlers.append(HTTPSHandler(context=tls_context(address.tls)))
    try:
        with build_opener(*handlers).open(request, timeout=_TIMEOUT) as response:
            found = orjson.loads(_read(response))
        policies = (found.get("policy"), found.get("operator_policy"))
        return QueueDetails(
            kind=str(found["type"]),
            arguments=dict(found["arguments"]),
            policies=tuple(str(policy) for policy in policies if policy),
            effective=dict(found.get("effective_policy_definition") or {}),
            durable=bool(found["durable"]),
            auto_delete=bool(found["auto_delete"]),
        )
    except HTTPError as error:
        if error.code in (401, 403):
            raise NotShown(f"it refuses {address.user!r}, who needs the tag monitoring") from error
        raise NotShown(f"it answers {error.code} {error.reason}") from error
    except URLError as error:
        raise NotShown(str(getattr(error.reason, "strerror", None) or error.reason)) from error
    except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotShown(f"it answers something else ({error})") from error
