"""What dlmon needs of pika: the one file that knows it."""

from __future__ import annotations

import logging
import ssl
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import pika
import pika.compat
import pika.exceptions as _errors
from pika.adapters.select_connection import IOLoop

from dlmon.config.settings import Settings
from dlmon.config.urls import RabbitMQAddress, Tls
from dlmon.errors import (
    BrokerRefused,
    BrokerUnreachable,
    DlmonError,
    SettingsError,
    TopologyMismatch,
)
from dlmon.messages import Message

_ACCESS_REFUSED = 403
_NOT_FOUND = 404
_RESOURCE_LOCKED = 405
_PRECONDITION_FAILED = 406
_LONGEST_SHORT_STRING = 255  # bytes

# What pika has to say is said again, in words, by whoever it concerns.
logging.getLogger("pika").setLevel(logging.CRITICAL + 1)


def new_loop() -> Any:
    """An I/O loop."""
    return IOLoop()


@dataclass(frozen=True, slots=True)
class Access:
    """How to get to RabbitMQ. `name` is what its management page shows of this connection."""

    address: RabbitMQAddress
    settings: Settings
    name: str


def connect(
    loop: Any,
    access: Access,
    host: tuple[str, int],
    opened: Callable[[Any], None],
    ended: Callable[[Any, BaseException], None],
) -> Any:
    """Begin to connect in `loop`: `opened` is called once that succeeds, `ended` when it fails or
    the connection is lost. Returns the connection, which can be closed before it is open.

    Raises: SettingsError where a file of the login cannot be used.
    """
    return pika.SelectConnection(_parameters(access, *host), opened, ended, ended, loop)


def is_own_close(reason: BaseException) -> bool:
    """Whether a channel was closed by this side."""
    return isinstance(reason, _errors.ChannelClosedByClient)


class PropertiesEncoder:
    """Properties made afresh: persistent, and with nothing that a message does not say.

    They are encoded where they are made, since what cannot be encoded is no error of a link. Most
    messages differ from the one before in nothing but their id, which stands last (AMQP 0-9-1
    section 4.2.6.1): what stands before it is encoded once.
    """

    def __init__(self) -> None:
        self._last: Message | None = None
        self._start = b""

    def encode(self, message: Message) -> Any:
        """The properties of a message, for pika. Raises what pika raises where that cannot be."""
        last = self._last
        if (
            last is None
            or message.headers is not last.headers  # equal ones may differ: 1 and True do
            or message.content_type != last.content_type
            or message.correlation_id != last.correlation_id
        ):
            self._start = self._encode(message, "")[:-1]
            self._last = message
        message_id = message.message_id.encode()
        if len(message_id) > _LONGEST_SHORT_STRING:
            return _Encoded(self._encode(message, message.message_id))
        return _Encoded(b"%b%c%b" % (self._start, len(message_id), message_id))

    @staticmethod
    def _encode(message: Message, message_id: str) -> bytes:
        properties = pika.BasicProperties(
            content_type=message.content_type,
            correlation_id=message.correlation_id,
            delivery_mode=2,
            headers=dict(message.headers) or None,
            message_id=message_id,
        )
        return b"".join(properties.encode())


class _Encoded(pika.BasicProperties):  # type: ignore[misc]  # pika ships no types
    """Properties that are known in the form in which they are sent."""

    def __init__(self, encoded: bytes) -> None:
        super().__init__()
        self._encoded = encoded

    def encode(self) -> list[bytes]:
        return [self._encoded]


class _Start(NamedTuple):
    """What stands before the message id in properties: encoded, and decoded."""

    encoded: bytes
    content_type: str
    headers: Mapping[str, Any]


class _Properties(pika.BasicProperties):  # type: ignore[misc]  # pika ships no types
    """Properties that are decoded also where their headers cannot be.

    Without it, a time out of range or deeply nested lists in a header close the connection before
    anybody has seen the message, and again each time it is delivered. `undecodable` has the bytes
    that could not be decoded (https://github.com/pika/pika/issues/1698).

    What `PropertiesEncoder` encodes once for several messages is decoded once for them here, since
    decoding takes a fifth of all that `consume` does.
    """

    content_type: str | None = None
    correlation_id: str | None = None
    headers: Mapping[str, Any] | None = None
    message_id: str | None = None
    undecodable: bytes | None = None

    _ONE_START = struct.pack(
        ">H",
        pika.BasicProperties.FLAG_CONTENT_TYPE
        | pika.BasicProperties.FLAG_HEADERS
        | pika.BasicProperties.FLAG_DELIVERY_MODE
        | pika.BasicProperties.FLAG_MESSAGE_ID,
    )
    _last = _Start(_ONE_START, "", {})  # is like no message: a content type has no room in it

    def __init__(self) -> None:
        """What no message says is None for all of them: it takes no time to set."""

    def decode(self, encoded: bytes, offset: int = 0) -> Any:
        start, content_type, headers = _Properties._last
        size = len(start)
        if encoded.startswith(start) and encoded[size] == len(encoded) - size - 1:
            self.content_type = content_type
            self.headers = headers
            self.message_id = _text(encoded[size + 1 :])
            return self
        self._decode_all(encoded, offset)
        if encoded.startswith(self._ONE_START) and self.undecodable is None:
            _, headers_end = _headers_at(encoded, 0)
            start = encoded[: headers_end + 1]  # and the delivery mode
            _Properties._last = _Start(start, self.content_type or "", self.headers or {})
        return self

    def _decode_all(self, encoded: bytes, offset: int) -> None:
        try:
            super().decode(encoded, offset)
        except _UNDECODABLE:
            start, end = _headers_at(encoded, offset)
            self.undecodable = encoded[start:end]
            super().decode(encoded[:start] + bytes(4) + encoded[end:], offset)
        self.content_type = _text(self.content_type)
        self.correlation_id = _text(self.correlation_id)
        self.message_id = _text(self.message_id)
        if self.headers:
            self.headers = {
                # pika calls some integers long.
                _text(name): int(value) if type(value) is pika.compat.long else value
                for name, value in self.headers.items()
            }


class _Address(NamedTuple):
    """What deliveries to one consumer have in common before and behind their tag: encoded, and
    decoded."""

    before: bytes
    behind: bytes
    consumer_tag: str
    exchange: str
    routing_key: str


class _Deliver(pika.spec.Basic.Deliver):  # type: ignore[misc]  # pika ships no types
    """A delivery as RabbitMQ announces it (AMQP 0-9-1 section 1.8.3.9), most of which is decoded
    once for deliveries that follow each other and have it in common."""

    consumer_tag: str
    exchange: str
    routing_key: str

    _TAG = struct.Struct(">Q?")  # and whether it was delivered before
    _last = _Address(b"", b"", "", "", "")

    def __init__(self) -> None:
        """Everything is set when it is decoded."""

    def decode(self, encoded: bytes, offset: int = 0) -> Any:
        tag_at = offset + 1 + encoded[offset]
        behind = encoded[tag_at + self._TAG.size :]
        last = _Deliver._last
        if behind == last.behind and encoded[offset:tag_at] == last.before:
            self.delivery_tag, self.redelivered = self._TAG.unpack_from(encoded, tag_at)
            _, _, self.consumer_tag, self.exchange, self.routing_key = last
            return self
        super().decode(encoded, offset)
        self.exchange = _text(self.exchange)
        self.routing_key = _text(self.routing_key)
        _Deliver._last = _Address(
            encoded[offset:tag_at], behind, self.consumer_tag, self.exchange, self.routing_key
        )
        return self


def _text(value: Any) -> Any:
    """A short string, or None. pika leaves one that is not UTF-8 as it is."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value


_UNDECODABLE = (
    _errors.AMQPError,
    struct.error,
    ArithmeticError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)
pika.spec.props[_Properties.INDEX] = _Properties
pika.spec.methods[_Deliver.INDEX] = _Deliver


def _headers_at(encoded: bytes, offset: int) -> tuple[int, int]:
    """Where the header table of encoded properties starts and ends (AMQP 0-9-1 section 4.2.6)."""
    (flags,) = struct.unpack_from(">H", encoded, offset)
    offset += 2
    for flag in (_Properties.FLAG_CONTENT_TYPE, _Properties.FLAG_CONTENT_ENCODING):
        if flags & flag:
            offset += 1 + encoded[offset]
    (length,) = struct.unpack_from(">I", encoded, offset)
    return offset, offset + 4 + length


def _parameters(access: Access, host: str, port: int) -> pika.ConnectionParameters:
    address, settings = access.address, access.settings
    return pika.ConnectionParameters(
        host=host,
        port=port,
        virtual_host=address.vhost,
        credentials=_credentials(address),
        heartbeat=settings.heartbeat,
        connection_attempts=1,
        socket_timeout=settings.connect_timeout,
        stack_timeout=settings.connect_timeout,
        ssl_options=None if address.tls is None else _ssl_options(address.tls, host),
        client_properties={"connection_name": access.name, "product": "dlmon"},
    )


def _credentials(address: RabbitMQAddress) -> Any:
    if address.external:
        return pika.credentials.ExternalCredentials()
    return pika.PlainCredentials(address.user, address.password.read())


def _ssl_options(tls: Tls, host: str) -> pika.SSLOptions:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except OSError as error:
        raise SettingsError(f"Cannot use the CA file {tls.ca_file}: {error.strerror}.") from error
    if tls.cert_file is not None:
        try:
            context.load_cert_chain(tls.cert_file, tls.key_file)
        except OSError as error:
            raise SettingsError(
                f"Cannot use the client certificate {tls.cert_file}: {error.strerror}."
            ) from error
    return pika.SSLOptions(context, tls.server_name or host)


_LOST_EARLY = (
    _errors.IncompatibleProtocolError,
    _errors.ProbableAuthenticationError,
    _errors.ProbableAccessDeniedError,
)


def explain(reason: object, access: Access) -> DlmonError:
    """What pika calls `reason`, in words."""
    reason = _innermost(reason)
    code = getattr(reason, "reply_code", None)
    text = getattr(reason, "reply_text", None) or getattr(reason, "strerror", None) or str(reason)
    user, vhost = access.address.user, access.address.vhost
    where = f"RabbitMQ at {access.address}"
    error: DlmonError
    if isinstance(reason, _LOST_EARLY) and "StreamLostError" in str(reason):
        # pika guesses why, from when it happened. A broker that refuses says so before it leaves.
        reason, text = None, "it closed the connection before a login came about"
    if isinstance(reason, _errors.ProbableAuthenticationError):
        error = BrokerRefused(
            f"{where} refused the login: check "
            + (
                "that it takes client certificates (rabbitmq_auth_mechanism_ssl)."
                if access.address.external
                else "user and password, for example in DLMON_BROKER_USER and "
                "DLMON_BROKER_PASSWORD."
            )
        )
    elif isinstance(reason, _errors.ProbableAccessDeniedError):
        error = BrokerRefused(
            f"{where} does not let {user!r} into the virtual host {vhost!r}: check that it exists, "
            "and the permissions of the user."
        )
    elif isinstance(reason, ssl.SSLError):
        error = _explain_tls(reason, where)
    elif isinstance(reason, _errors.AMQPHeartbeatTimeout | _errors.StreamLostError):
        error = BrokerUnreachable(f"The connection to {where} was lost ({text}).")
    elif code is not None and not isinstance(reason, _errors.ConnectionOpenAborted):
        error = _explain_close(code, text, where, declared=access.settings.declare)
    else:
        if isinstance(reason, _errors.ConnectionOpenAborted):
            text = f"no AMQP handshake within {access.settings.connect_timeout:g} s"
        error = BrokerUnreachable(
            f"Cannot reach {where}: {text}. Start one (docker compose up -d rabbitmq), wait for it "
            "with --wait SECONDS, or work without one with --broker local."
        )
    return error


def _explain_close(code: int, text: str, where: str, *, declared: bool) -> DlmonError:
    """Why the broker closed a channel or a connection (AMQP 0-9-1 section 1.2: reply codes)."""
    if code == _ACCESS_REFUSED:
        return BrokerRefused(
            f"{where} refused a permission ({text}). Ask for it; --no-declare needs fewer."
        )
    if code == _RESOURCE_LOCKED or (code == _PRECONDITION_FAILED and "inequivalent" in text):
        return TopologyMismatch(
            f"{where} has a queue or an exchange that was declared in another way ({text}). Delete "
            "it if nobody needs it, choose another --namespace, or use it with --no-declare."
        )
    if code == _PRECONDITION_FAILED and "larger than" in text:
        return BrokerRefused(f"{where} refused a message ({text}): raise its max_message_size.")
    if code == _NOT_FOUND and not declared:
        return TopologyMismatch(f"{where}: {text}. Create it, or leave out --no-declare.")
    return BrokerUnreachable(f"{where} closed the connection or a channel ({text}).")


def _explain_tls(reason: ssl.SSLError, where: str) -> BrokerRefused:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return BrokerRefused(
            f"The certificate of {where} cannot be trusted: {reason.verify_message}. Check the "
            "name of the host, and name the file with its CA in DLMON_BROKER_CA_FILE."
        )
    return BrokerRefused(
        f"No TLS connection comes about with {where} ({reason.reason}). Check its port, and the "
        "client certificate in DLMON_BROKER_CERT_FILE if it asks for one."
    )


def _innermost(reason: object) -> object:
    """The exception inside those that pika wraps it in."""
    for wrapped in (
        *(getattr(reason, "exceptions", None) or ()),
        getattr(reason, "exception", None),
        *getattr(reason, "args", ()),
    ):
        if isinstance(wrapped, BaseException):
            return _innermost(wrapped)
    return reason
