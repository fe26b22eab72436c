"""etcd's JSON gateway (the gRPC API version 3 as HTTP, etcd 3.4 and later), over all its members.

https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/
"""

import base64
import contextlib
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from lvsctl.errors import StoreRefused, StoreUnavailable

ANSWER_WITHIN_S = 2.0
"""How long one member may take; another one is asked then."""
RETRY_AFTER_S = 0.05
"""How long to wait once no member has answered."""

_UNAUTHENTICATED = 16
_RETRIED = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE}
_RETRIED |= {HTTPStatus.GATEWAY_TIMEOUT, HTTPStatus.INTERNAL_SERVER_ERROR}

Document = Mapping[str, Any]
"""A JSON object of the gateway, whose 64-bit numbers are text and whose bytes are base64."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach an etcd.

    Attributes:
        endpoints: URL of each member, without a path.
        user: Name for etcd's own authentication; empty where it has none.
        password: Of that user.
        tls: Whom to trust, and the client's certificate; None for plain HTTP.
    """

    endpoints: Sequence[str]
    user: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None


class Gateway:
    """Asks one member after the other until one has answered; used by one thread.

    Args:
        access: The members.
        monotonic: Seconds since some moment.
        wait: Waits that many seconds.
    """

    def __init__(
        self,
        access: Access,
        monotonic: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._access = access
        self._monotonic = monotonic
        self._wait = wait
        self._member = 0
        self._token = ""
        self._http = httpx.Client(
            verify=access.tls or False, trust_env=False, follow_redirects=False
        )

    @property
    def endpoint(self) -> str:
        """URL of the member that is asked next."""
        return self._access.endpoints[self._member]

    def ask(self, path: str, document: Document, within_s: float) -> Document:
        """Return the answer of the first member that has one.

        A request may have been carried out although no answer came, and may be carried out more
        than once: what is asked must allow for that.

        Args:
            path: Such as ``kv/txn``.
            document: The request.
            within_s: How long to try, in seconds.

        Raises:
            StoreUnavailable: No member answered in time.
            StoreRefused: etcd refuses such a request.
        """
        deadline = self._monotonic() + within_s
        failures: dict[str, str] = {}
        was_sent = False
        while (left := deadline - self._monotonic()) > 0:
            try:
                return self._ask_member(path, document, min(left, ANSWER_WITHIN_S))
            except _NoAnswerError as error:
                failures[self.endpoint] = str(error)
                was_sent = was_sent or error.was_sent
                self._turn()
                if len(failures) == len(self._access.endpoints):
                    self._wait(max(0.0, min(RETRY_AFTER_S, deadline - self._monotonic())))
        raise StoreUnavailable(
            f"etcd does not answer ({'; '.join(f'{at}: {why}' for at, why in failures.items())}). "
            "The kernel stays as it is, health checks go on, writes are refused until a majority "
            f"of its members is back; see: etcdctl --endpoints={','.join(self._access.endpoints)} "
            "endpoint status",
            was_sent=was_sent,
        )

    def changed(self, key: bytes, revision: int, within_s: float, stream: "Stream") -> bool:
        """Wait until a key changes, and return whether it has; False too where nothing is known.

        A watch may fall silent for ever (a member that hangs, or lost the majority), so this is
        no more than a hint to look.

        Args:
            key: Which one.
            revision: etcd's own, from which on changes count.
            within_s: How long to wait, in seconds.
            stream: Through which another thread can end the wait.
        """
        request = {"create_request": {"key": text(key), "start_revision": str(revision)}}
        timeout = httpx.Timeout(ANSWER_WITHIN_S, read=within_s)
        headers = {**self._headers(), "Grpc-Metadata-hasleader": "true"}
        url = f"{self.endpoint}/v3/watch"
        try:
            with self._http.stream(
                "POST", url, json=request, headers=headers, timeout=timeout
            ) as answer:
                stream.opened(answer)
                for line in answer.iter_lines():
                    result = json.loads(line).get("result", {})
                    if result.get("canceled") or "events" in result:
                        return True
        except httpx.ReadTimeout:
            return False
        except (httpx.HTTPError, ValueError):
            self._turn()
        finally:
            stream.closed()
        return False

    def close(self) -> None:
        """Let go of all connections."""
        self._http.close()

    def _turn(self) -> None:
        self._member = (self._member + 1) % len(self._access.endpoints)

    def _ask_member(self, path: str, document: Document, within_s: float) -> Document:
        if self._access.user and not self._token:
            self._authenticate(within_s)
        try:
            return self._post(path, document, self._headers(), within_s)
        except _UnauthenticatedError:  # tokens end with a member's restart
            self._authenticate(within_s)
            return self._post(path, document, self._headers(), within_s)

    def _authenticate(self, within_s: float) -> None:
        self._token = ""
        credentials = {"name": self._access.user, "password": self._access.password}
        # An old token beside the password would be refused.
        self._token = self._post("auth/authenticate", credentials, {}, within_s)["token"]

    def _headers(self) -> dict[str, str]:
        return {"Authorization": self._token} if self._token else {}

    def _post(
        self, path: str, document: Document, headers: Mapping[str, str], within_s: float
    ) -> Document:
        url = f"{self.endpoint}/v3/{path}"
        try:
            answer = self._http.post(url, json=document, headers=dict(headers), timeout=within_s)
            body = answer.json()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _NoAnswerError(_said(error), was_sent=False) from error
        except httpx.HTTPError as error:
            raise _NoAnswerError(_said(error)) from error
        except ValueError as error:
            raise _NoAnswerError(f"no JSON: {error}") from error
        if answer.status_code == HTTPStatus.OK:
            return dict(body)
        why = body.get("error") or body.get("message") or f"status {answer.status_code}"
        if body.get("code") == _UNAUTHENTICATED and path != "auth/authenticate":
            raise _UnauthenticatedError(why)
        if answer.status_code in _RETRIED:
            raise _NoAnswerError(str(why))
        raise StoreRefused(f"etcd at {self.endpoint} refuses {path}: {why}{_cure(str(why))}")


class Stream:
    """A wait of another thread, which can be ended."""

    def __init__(self) -> None:
        self._answer: httpx.Response | None = None
        self._is_ended = False

    def opened(self, answer: httpx.Response) -> None:
        """Note what is waited for."""
        self._answer = answer
        if self._is_ended:
            self.end()

    def closed(self) -> None:
        """Note that nothing is waited for."""
        self._answer = None

    def end(self) -> None:
        """End the wait now, and each one that begins later."""
        self._is_ended = True
        answer = self._answer
        if answer is not None:
            connection = answer.extensions["network_stream"].get_extra_info("socket")
            with contextlib.suppress(OSError):  # it may have ended by itself
                connection.shutdown(socket.SHUT_RDWR)


class _NoAnswerError(Exception):
    """A member does not answer, or cannot at the moment."""

    def __init__(self, why: str, *, was_sent: bool = True) -> None:
        super().__init__(why)
        self.was_sent = was_sent


class _UnauthenticatedError(_NoAnswerError):
    """The token is not valid any more."""


def _said(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__


def _cure(why: str) -> str:
    if "space exceeded" in why:
        return (
            ". Its database is full: compact and defragment it, then disarm the alarm "
            "(etcdctl compact, etcdctl defrag, etcdctl alarm disarm); until then the farm stays "
            "as it is and writes are refused"
        )
    if "authentication failed" in why or "permission denied" in why:
        return "; check the user in --store and the password in --store-password-file"
    return ""


def text(value: bytes) -> str:
    """Write bytes as the gateway wants them."""
    return base64.b64encode(value).decode()


def read_bytes(value: str) -> bytes:
    """Read bytes as the gateway gives them."""
    return base64.b64decode(value)
