"""What dlmon needs of pika. No other module imports it, and importing this one changes nothing in
pika for the rest of the process."""

from __future__ import annotations

import re
import ssl
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import pika
import pika.compat
import pika.exceptions as _errors
from pika.adapters.select_connection import IOLoop
from pika.frame import Body, Header, Method
from pika.spec import FRAME_BODY, FRAME_END, FRAME_HEADER, FRAME_METHOD

from dlmon.brokers.rabbitmq.failures import Failure, FailureKind
from dlmon.brokers.rabbitmq.properties import encode_properties
from dlmon.brokers.rabbitmq.tls import tls_context
from dlmon.config.settings import Settings
from dlmon.config.urls import RabbitMQAddress
from dlmon.messages import Message

_MAX_SHORT_STRING = 255  # bytes


def new_loop() -> Any:
    """An I/O loop."""
    return IOLoop()


@dataclass(frozen=True, slots=True)
class ConnectionConfig:
    """How to connect to RabbitMQ. `name` is what its management page shows of the connection."""

    address: RabbitMQAddress
    settings: Settings
    name: str


def connect(
    loop: Any,
    config: ConnectionConfig,
    host: tuple[str, int],
    on_open: Callable[[Any], None],
    on_close: Callable[[Any, BaseException], None],
) -> Any:
    """Begin to connect in `loop`. Returns the connection, which can be closed before it is open.

    on_open: called once that succeeds. on_close: called when it fails, or the connection is lost.

    Raises: SettingsError where a file of the login cannot be used.
    """
    return _Connection(_parameters(config, *host), on_open, on_close, on_close, loop)


def frame_bytes(connection: Any) -> int:
    """The size of a frame that the broker and this side have agreed to."""
    size: int = connection.params.frame_max
    return size


def place_of(connection: Any) -> tuple[str, str]:
    """The name that the broker's cluster gives itself, and the virtual host."""
    return str(connection.server_properties.get("cluster_name")), connection.params.virtual_host


def is_own_close(reason: BaseException) -> bool:
    """Whether a channel was closed by this side."""
    return isinstance(reason, _errors.ChannelClosedByClient)


class PropertiesEncoder:
    """Makes properties afresh: persistent, and with nothing that a message does not have.

    They are encoded here, in the thread that publishes, so that a value that cannot be encoded is
    an error of that call and not of the connection. Most messages differ from the one before in
    nothing but their id, and that stands last unless they have a type or an app id (AMQP 0-9-1
    section 4.2.6.1): what stands before it is encoded once.
    """

    def __init__(self) -> None:
        self._headers: Mapping[str, Any] | None = None  # of the message before
        self._others: tuple[str | None, ...] = ()  # content type and all after it
        self._start: bytes | None = None  # what stands before the id, where that stands last

    def encode(self, message: Message) -> Any:
        """The properties of a message, for pika; `encoded` are their bytes.

        Raises: as `encode_properties`."""
        others = message[3:]
        # Equal headers may differ: 1 and True do.
        if message.headers is not self._headers or others != self._others:
            plain = message.type is None and message.app_id is None
            self._start = encode_properties(message, "")[:-1] if plain else None
            self._headers, self._others = message.headers, others
        message_id = message.message_id.encode()
        if self._start is None or len(message_id) > _MAX_SHORT_STRING:
            return _EncodedProperties(encode_properties(message, message.message_id))
        return _EncodedProperties(b"%b%c%b" % (self._start, len(message_id), message_id))


class _EncodedProperties(pika.BasicProperties):  # type: ignore[misc]  # pika ships no types
    """Properties in the form in which they are sent; pika asks for nothing else of them."""

    def __init__(self, encoded: bytes) -> None:
        # Not with the fields of the class: setting them takes almost as long as all the rest.
        self.encoded = encoded

    def encode(self) -> list[bytes]:
        return [self.encoded]


class _Connection(pika.SelectConnection):  # type: ignore[misc]  # pika ships no types
    """A connection that decodes deliveries by itself, since that is a fifth of all that `consume`
    does, and leaves every other frame to pika."""

    def __init__(self, *arguments: Any) -> None:
        self._last_deliver = _DeliverCache(b"", b"", "", "", "")
        self._last_properties = _PropertiesCache(_CACHEABLE, "", MappingProxyType({}))
        super().__init__(*arguments)

    def _read_frame(self) -> tuple[int, Any]:
        """The first frame of the buffer, and its size (AMQP 0-9-1 section 4.2.3); pika calls it."""
        received: bytes = self._frame_buffer
        if len(received) > _FRAME.size:
            kind, channel, size = _FRAME.unpack_from(received)
            end = _FRAME.size + size
            if len(received) > end and received[end] == FRAME_END:
                if kind == FRAME_BODY:
                    return end + 1, Body(channel, received[_FRAME.size : end])
                if kind == FRAME_HEADER and received.startswith(_BASIC, _FRAME.size):
                    (body_size,) = _BODY_SIZE.unpack_from(received, _FRAME.size + 4)
                    properties = self._decode_properties(received[_FRAME.size + 12 : end])
                    return end + 1, Header(channel, body_size, properties)
                if kind == FRAME_METHOD and received.startswith(_DELIVER, _FRAME.size):
                    deliver = self._decode_deliver(received[_FRAME.size + 4 : end])
                    return end + 1, Method(channel, deliver)
        frame: tuple[int, Any] = super()._read_frame()
        return frame

    def _decode_properties(self, encoded: bytes) -> _Properties:
        """What `PropertiesEncoder` encodes once for several messages is decoded once for them."""
        properties = _Properties()
        start, content_type, headers = self._last_properties
        size = len(start)
        if encoded.startswith(start) and encoded[size] == len(encoded) - size - 1:
            properties.content_type = content_type
            properties.headers = headers
            properties.message_id = _text(encoded[size + 1 :])
            return properties
        properties.decode(encoded)
        if encoded.startswith(_CACHEABLE) and properties.has_plain_headers:
            _, headers_end = _header_table(encoded, 0)
            start = encoded[: headers_end + 1]  # and the delivery mode
            self._last_properties = _PropertiesCache(
                start, properties.content_type or "", properties.headers
            )
        return properties

    def _decode_deliver(self, encoded: bytes) -> _Deliver:
        """Deliveries to one consumer have most of it in common (AMQP 0-9-1 section 1.8.3.9)."""
        deliver = _Deliver()
        tag_at = 1 + encoded[0]
        behind = encoded[tag_at + _TAG.size :]
        last = self._last_deliver
        if behind == last.behind and encoded[:tag_at] == last.before:
            deliver.delivery_tag, deliver.redelivered = _TAG.unpack_from(encoded, tag_at)
            _, _, deliver.consumer_tag, deliver.exchange, deliver.routing_key = last
            return deliver
        deliver.decode(encoded)
        deliver.exchange = _text(deliver.exchange)
        deliver.routing_key = _text(deliver.routing_key)
        self._last_deliver = _DeliverCache(
            encoded[:tag_at], behind, deliver.consumer_tag, deliver.exchange, deliver.routing_key
        )
        return deliver


_FRAME = struct.Struct(">BHL")  # type, channel, size
_BODY_SIZE = struct.Struct(">Q")
_TAG = struct.Struct(">Q?")  # delivery tag, and whether it was delivered before
_BASIC = struct.pack(">H", pika.BasicProperties.INDEX)
_DELIVER = struct.pack(">I", pika.spec.Basic.Deliver.INDEX)
_CACHEABLE = struct.pack(  # flags of properties of which all but the message id is cached
    ">H",
    pika.BasicProperties.FLAG_CONTENT_TYPE
    | pika.BasicProperties.FLAG_HEADERS
    | pika.BasicProperties.FLAG_DELIVERY_MODE
    | pika.BasicProperties.FLAG_MESSAGE_ID,
)


class _PropertiesCache(NamedTuple):
    """What stands before the message id in properties: encoded, and decoded."""

    encoded: bytes
    content_type: str
    headers: Mapping[str, Any]


class _DeliverCache(NamedTuple):
    """What stands before and behind the tag of a delivery, encoded; and decoded."""

    before: bytes
    behind: bytes
    consumer_tag: str
    exchange: str
    routing_key: str


class _Properties(pika.BasicProperties):  # type: ignore[misc]  # pika ships no types
    """Properties that are decoded also where their headers cannot be.

    Without it, a time out of range or deeply nested lists in a header close the connection before
    any callback sees the message, and again each time it is delivered. `undecodable` has the bytes
    that could not be decoded (https://github.com/pika/pika/issues/1698).
    """

    content_type: str | None = None
    content_encoding: str | None = None
    headers: Mapping[str, Any] = MappingProxyType({})
    correlation_id: str | None = None
    message_id: str | None = None
    type: str | None = None
    app_id: str | None = None
    undecodable: bytes | None = None

    def __init__(self) -> None:
        """What a message does not have stays as the class has it: that takes no time to set."""

    def decode(self, encoded: bytes, offset: int = 0) -> Any:
        try:
            super().decode(encoded, offset)
        except _UNDECODABLE:
            start, end = _header_table(encoded, offset)
            self.undecodable = encoded[start:end]
            super().decode(encoded[:start] + bytes(4) + encoded[end:], offset)
        self.content_type = _text(self.content_type)
        self.content_encoding = _text(self.content_encoding)
        self.correlation_id = _text(self.correlation_id)
        self.message_id = _text(self.message_id)
        self.type = _text(self.type)
        self.app_id = _text(self.app_id)
        # Read-only, since messages that follow each other can share them.
        self.headers = MappingProxyType(
            {
                # pika calls some integers long.
                _text(name): int(value) if type(value) is pika.compat.long else value
                for name, value in (self.headers or {}).items()
            }
        )
        return self

    @property
    def has_plain_headers(self) -> bool:
        """Whether the headers were decoded, and none has a value that could be changed."""
        return self.undecodable is None and not any(
            isinstance(value, dict | list) for value in self.headers.values()
        )


class _Deliver(pika.spec.Basic.Deliver):  # type: ignore[misc]  # pika ships no types
    """A delivery as RabbitMQ announces it."""

    consumer_tag: str
    delivery_tag: int
    redelivered: bool
    exchange: str
    routing_key: str

    def __init__(self) -> None:
        """Everything is set when it is decoded."""


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


def _text(value: Any) -> Any:
    """A short string, or None. pika leaves one that is not UTF-8 as it is."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value


def _header_table(encoded: bytes, offset: int) -> tuple[int, int]:
    """Where the header table of encoded properties starts and ends (AMQP 0-9-1 section 4.2.6)."""
    (flags,) = struct.unpack_from(">H", encoded, offset)
    offset += 2
    for flag in (_Properties.FLAG_CONTENT_TYPE, _Properties.FLAG_CONTENT_ENCODING):
        if flags & flag:
            offset += 1 + encoded[offset]
    (length,) = struct.unpack_from(">I", encoded, offset)
    return offset, offset + 4 + length


def _parameters(config: ConnectionConfig, host: str, port: int) -> pika.ConnectionParameters:
    address, settings = config.address, config.settings
    return pika.ConnectionParameters(
        host=host,
        port=port,
        virtual_host=address.vhost,
        credentials=_credentials(address),
        heartbeat=settings.heartbeat,
        connection_attempts=1,
        socket_timeout=settings.connect_timeout,
        stack_timeout=settings.connect_timeout,
        ssl_options=address.tls
        and pika.SSLOptions(tls_context(address.tls), address.tls.server_name or host),
        client_properties={"connection_name": config.name, "product": "dlmon"},
    )


def _credentials(address: RabbitMQAddress) -> Any:
    if address.external:
        return pika.credentials.ExternalCredentials()
    return pika.PlainCredentials(address.user, address.password.read())


def classify(reason: object) -> Failure:
    """What pika gives as the reason when a channel or a connection ends, without its classes."""
    reason = _innermost(reason)
    code = getattr(reason, "reply_code", None)
    text = getattr(reason, "reply_text", None) or getattr(reason, "strerror", None) or str(reason)
    if isinstance(reason, _GUESSES) and "StreamLostError" in str(reason):
        # pika guesses why, from when it happened. A broker that refuses says so before it leaves.
        return Failure(FailureKind.UNREACHABLE, "it closed the connection before the login")
    if isinstance(reason, _GUESSES) and (said := _CLOSED_BY_BROKER.search(str(reason))):
        code, text = int(said["code"]), said["text"]
    for error, kind in _KINDS:
        if isinstance(reason, error):
            cause = reason if isinstance(reason, ssl.SSLError) else None
            return Failure(kind, text, code, cause)
    return Failure(FailureKind.UNREACHABLE if code is None else FailureKind.CLOSED, text, code)


_KINDS: tuple[tuple[type[BaseException], FailureKind], ...] = (
    (_errors.ConnectionOpenAborted, FailureKind.NO_HANDSHAKE),
    (_errors.ProbableAuthenticationError, FailureKind.LOGIN),
    (_errors.ProbableAccessDeniedError, FailureKind.VIRTUAL_HOST),
    (ssl.SSLError, FailureKind.TLS),
    (_errors.AMQPHeartbeatTimeout, FailureKind.LOST),
    (_errors.StreamLostError, FailureKind.LOST),
)
# How pika's guesses repeat what the broker said: as the repr of a text.
_CLOSED_BY_BROKER = re.compile(
    r"ConnectionClosedByBroker: \((?P<code>\d+)\) (?P<quote>['\"])(?P<text>.*)(?P=quote)", re.DOTALL
)

_GUESSES = (
    _errors.IncompatibleProtocolError,
    _errors.ProbableAuthenticationError,
    _errors.ProbableAccessDeniedError,
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
