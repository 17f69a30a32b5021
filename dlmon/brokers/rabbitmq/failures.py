"""Why a channel or a connection to RabbitMQ ended, as an error that says what to do next."""

from __future__ import annotations

import ssl
from enum import Enum, auto
from typing import NamedTuple

from dlmon.config.settings import Settings
from dlmon.config.urls import RabbitMQAddress
from dlmon.errors import (
    BrokerError,
    BrokerRefused,
    BrokerUnreachable,
    DlmonError,
    TopologyMismatch,
)

# AMQP 0-9-1 section 1.2: reply codes
ACCESS_REFUSED = 403
NOT_FOUND = 404
RESOURCE_LOCKED = 405
PRECONDITION_FAILED = 406
FRAME_ERROR = 501
SYNTAX_ERROR = 502
COMMAND_INVALID = 503
INTERNAL_ERROR = 541


class ClosedOverMessage(BrokerUnreachable):
    """The broker answered something that was sent, perhaps a message, by a close.

    attempts: after how many closes it is the message that is at fault, and not the network.
    """

    def __init__(self, text: str, attempts: int) -> None:
        super().__init__(text)
        self.attempts = attempts


class NotDeclaredYet(BrokerUnreachable):
    """A queue or an exchange is missing, and is declared with the next connection."""


class FailureKind(Enum):
    """What ended, and at which step."""

    UNREACHABLE = auto()  # no TCP connection, or no AMQP on it
    NO_HANDSHAKE = auto()  # no answer in time
    TLS = auto()
    LOGIN = auto()
    VIRTUAL_HOST = auto()
    CLOSED = auto()  # by the broker, with a code
    LOST = auto()  # without a word


class Failure(NamedTuple):
    """One failure. `text` has the words of the broker or of the operating system.

    code: AMQP's reply code, where the broker gave one. cause: of a TLS connection that failed.
    """

    kind: FailureKind
    text: str
    code: int | None = None
    cause: ssl.SSLError | None = None


def explain(failure: Failure, address: RabbitMQAddress, settings: Settings) -> DlmonError:
    """The error to raise for a failure."""
    where = f"RabbitMQ at {address}"
    kind, text = failure.kind, failure.text
    if kind is FailureKind.LOGIN:
        # What every broker says of a wrong password adds nothing; of an expired token it does.
        words = f" ({text})" if failure.code and "Login was refused" not in text else ""
        return BrokerRefused(f"{where} refused the login{words}: {_mend_login(address)}")
    if kind is FailureKind.VIRTUAL_HOST:
        return _explain_virtual_host(failure, where, address)
    if failure.cause is not None:
        return _explain_tls(failure.cause, where)
    if kind is FailureKind.LOST:
        return BrokerUnreachable(f"The connection to {where} was lost ({text}).")
    if failure.code is not None:
        return _explain_close(failure.code, text, where, settings)
    if kind is FailureKind.NO_HANDSHAKE:
        text = f"no AMQP handshake within {settings.connect_timeout:g} s"
    return BrokerUnreachable(
        f"Cannot reach {where}: {text}. Start one (docker compose up -d rabbitmq), wait for it "
        "with --wait SECONDS, or work without one with --broker local."
    )


def _explain_virtual_host(failure: Failure, where: str, address: RabbitMQAddress) -> BrokerError:
    """Why the broker closed the connection when it was asked for a virtual host."""
    into = f"{where} does not let {address.user!r} into the virtual host {address.vhost!r}"
    if failure.code == INTERNAL_ERROR or "limit" in failure.text:
        return BrokerUnreachable(
            f"{into} now ({failure.text}). Wait for it with --wait SECONDS, or have the operator "
            "raise the limit or start the virtual host."
        )
    words = f" ({failure.text})" if failure.code else ""
    return BrokerRefused(f"{into}{words}: check that it exists, and the permissions of the user.")


def _mend_login(address: RabbitMQAddress) -> str:
    if address.external:
        return "check that it takes client certificates (rabbitmq_auth_mechanism_ssl)."
    if address.password.is_missing:
        return (
            f"no password is configured for {address.user!r}. Set DLMON_BROKER_PASSWORD, or name a "
            "file with it in DLMON_BROKER_PASSWORD_FILE."
        )
    return "check user and password, for example in DLMON_BROKER_USER and DLMON_BROKER_PASSWORD."


def _explain_close(code: int, text: str, where: str, settings: Settings) -> DlmonError:
    """Why the broker closed a channel or a connection."""
    closed = f"{where} closed the connection or a channel ({text})."
    if code == ACCESS_REFUSED:
        return BrokerRefused(
            f"{where} refused a permission ({text}). Ask for it; --no-declare needs fewer."
        )
    if code == RESOURCE_LOCKED or (code == PRECONDITION_FAILED and "inequivalent" in text):
        return TopologyMismatch(
            f"{where} has a queue or an exchange that was declared in another way ({text}). Delete "
            "it if it is not needed, or choose another --namespace" + _other_ways(text, settings)
        )
    if code == PRECONDITION_FAILED and "larger than" in text:
        return ClosedOverMessage(
            f"{where} refused a message ({text}): raise its max_message_size.", attempts=1
        )
    if code == NOT_FOUND:
        if settings.declare:
            return NotDeclaredYet(closed)
        return TopologyMismatch(
            f"{where}: {text}. Create it, leave out --no-declare, "
            "or name what is there with --exchange, --arrivals and --rejects."
        )
    over_message = code in (FRAME_ERROR, SYNTAX_ERROR, COMMAND_INVALID)
    return ClosedOverMessage(closed, attempts=3) if over_message else BrokerUnreachable(closed)


def _other_ways(text: str, settings: Settings) -> str:
    """How else what was declared in another way can be used."""
    if "current is 'stream'" in text:
        # Commands that consume have no use for it.
        return ". `produce` can publish to a stream with --arrivals-type stream."
    if settings.stream_retention is not None and _is_about_arrivals(text, settings):
        # Of several arguments that differ, RabbitMQ names one.
        return ", or, if it is no stream, leave out --arrivals-type, else give its age by --retain."
    return ", or use it with --no-declare."


def _is_about_arrivals(text: str, settings: Settings) -> bool:
    return any(f"queue '{name}'" in text for name in settings.names.all_arrivals)


def _explain_tls(error: ssl.SSLError, where: str) -> BrokerRefused:
    if isinstance(error, ssl.SSLCertVerificationError):
        return BrokerRefused(
            f"The certificate of {where} cannot be trusted: {error.verify_message}. Check the "
            "name of the host, and name the file with its CA in DLMON_BROKER_CA_FILE."
        )
    return BrokerRefused(
        f"Cannot set up TLS with {where} ({error.reason}). Check its port, and the client "
        "certificate in DLMON_BROKER_CERT_FILE if it asks for one."
    )
