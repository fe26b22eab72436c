"""A generic netlink socket: requests, dumps and batches for one family, as bytes.

Nothing here knows IPVS. The kernel handles requests before ``send`` returns, so every answer is
already in the receive buffer by then, or was lost because the buffer was full (ENOBUFS).
"""

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from lvsctl.errors import KernelError
from lvsctl.netlink.attributes import padded
from lvsctl.netlink.messages import (
    CONTROL_FAMILY,
    HEADER,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    Ack,
    Message,
    family_request,
    frame,
    last_message,
    parse_ack,
    parse_family,
    parse_messages,
)

_SOL_NETLINK = 270
_NETLINK_GENERIC = 16
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33

CHUNK_BYTES = 32 * 1024
_SMALLEST_MESSAGE_BYTES = 40
_ERROR_IN_BUFFER_BYTES = 1280  # what the kernel charges for an NLMSG_ERROR: memory, not length
_BUFFER_BYTES = CHUNK_BYTES // _SMALLEST_MESSAGE_BYTES * _ERROR_IN_BUFFER_BYTES
_RECEIVE_BYTES = 64 * 1024
_ANSWER_TIMEOUT_S = 5  # for an answer that should be there already
_DUMP_ATTEMPTS = 5
_INTERRUPTED = f"{_DUMP_ATTEMPTS} dumps in a row were interrupted by changes"
_MAX_SEQUENCE = 0x7FFFFFFF


class RequestRefused(KernelError):
    """The kernel refused one request.

    Attributes:
        errno: Its error number, positive.
    """

    def __init__(self, ack: Ack) -> None:
        super().__init__(ack.message or os.strerror(ack.errno))
        self.errno = ack.errno


@dataclass(frozen=True, slots=True)
class Dump:
    """The answers to one dump.

    Attributes:
        datagrams: As they came, without the end of the dump where that came by itself.
        answers: Their payloads.
        single_pass: Whether all came in one datagram, which the kernel fills in one pass. Between
            datagrams it resumes by position: if an entry is deleted meanwhile, another that still
            exists may be left out.
    """

    datagrams: Sequence[bytes]
    answers: list[bytes]
    single_pass: bool


class GenericNetlinkSocket:
    """A socket for one family, in the network namespace of the calling thread."""

    def __init__(self, family_name: str) -> None:
        """Open the socket and resolve the family.

        Raises:
            RequestRefused: ENOENT if the kernel has no such family.
        """
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_GENERIC
        )
        self._sequence = 0
        try:
            self._prepare()
            self._family = CONTROL_FAMILY
            self._family = parse_family(self.request(family_request(family_name)))
        except BaseException:
            self._socket.close()
            raise

    def _prepare(self) -> None:
        self._socket.bind((0, 0))
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        timeout = struct.pack("ll", _ANSWER_TIMEOUT_S, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
        for beyond_limit, within_limit in (
            (_SO_RCVBUFFORCE, socket.SO_RCVBUF),
            (_SO_SNDBUFFORCE, socket.SO_SNDBUF),
        ):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, beyond_limit, _BUFFER_BYTES)
            except PermissionError:
                self._socket.setsockopt(socket.SOL_SOCKET, within_limit, _BUFFER_BYTES)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def request(self, payload: bytes) -> bytes:
        """Send one request and return the payload of its one answer.

        Raises:
            RequestRefused: The kernel answered with an error.
            KernelError: It did not answer.
        """
        sequence = self._send([payload], 0)
        for messages in self._answers(sequence):
            for message in messages:
                if message.type == self._family:
                    return message.payload
                _raise_if_refused(message)
        raise AssertionError  # answers end by raising only

    def dump(self, payload: bytes) -> Dump:
        """Send one request and return all its answers.

        A dump that the kernel marks as interrupted by a change is repeated.

        Raises:
            RequestRefused: The kernel answered with an error.
            KernelError: It did not answer, or every attempt was interrupted.
        """
        for _ in range(_DUMP_ATTEMPTS):
            datagrams = self.dump_datagrams(payload)
            messages = [*chain.from_iterable(map(parse_messages, datagrams))]
            if not any(message.flags & NLM_F_DUMP_INTR for message in messages):
                answers = [each.payload for each in messages if each.type == self._family]
                return Dump(datagrams, answers, single_pass=len(datagrams) <= 1)
        raise KernelError(_INTERRUPTED)

    def dump_datagrams(self, payload: bytes) -> Sequence[bytes]:
        """Send one request and return all its answers as they came, none of them decoded.

        Messages may still be marked as interrupted by a change.

        Raises:
            RequestRefused: The kernel answered with an error.
            KernelError: It did not answer, or every attempt was interrupted.
        """
        for _ in range(_DUMP_ATTEMPTS):
            sequence = self._send([payload], NLM_F_DUMP)
            datagrams, end = self._received_until_end(sequence)
            _raise_if_refused(end)
            if not end.flags & NLM_F_DUMP_INTR:
                return datagrams
        raise KernelError(_INTERRUPTED)

    def _received_until_end(self, sequence: int) -> tuple[Sequence[bytes], Message]:
        datagrams: list[bytes] = []
        try:
            while True:
                datagram = self._socket.recv(_RECEIVE_BYTES)
                at, end = last_message(datagram)
                if end.sequence != sequence:
                    continue
                if end.type not in (NLMSG_DONE, NLMSG_ERROR):
                    datagrams.append(datagram)
                    continue
                if at:
                    datagrams.append(datagram)
                return datagrams, end
        except OSError as error:
            raise KernelError(f"the kernel's answer over netlink was lost: {error}") from error

    def batch(self, payloads: Iterable[bytes]) -> list[Ack | None]:
        """Send many requests and return the kernel's answer to each, in the same order.

        They are consumed chunk by chunk, so that thousands need not exist at once. Each chunk
        requests an acknowledgement for its last message only; a refused message is reported
        anyway, and does not stop the others. None stands for a request whose answer was lost.
        """
        acks: list[Ack | None] = []
        for chunk in _chunks(payloads):
            acks += self._send_chunk(chunk)
        return acks

    def _send_chunk(self, payloads: Sequence[bytes]) -> list[Ack | None]:
        first = self._send(payloads, NLM_F_ACK)
        final = first + len(payloads) - 1
        refused: dict[int, Ack] = {}
        acknowledged = self._collect_errors(final, refused)
        otherwise = Ack(0) if acknowledged else None
        return [refused.get(sequence, otherwise) for sequence in range(first, final + 1)]

    def _collect_errors(self, final: int, refused: dict[int, Ack]) -> bool:
        """Collect errors up to the ack of the final message; return False if answers were lost."""
        try:
            for message in chain.from_iterable(self._received()):
                if message.type == NLMSG_ERROR:
                    ack = parse_ack(message)
                    if ack.errno:
                        refused[message.sequence] = ack
                    if message.sequence == final:
                        return True
        except OSError as error:
            if error.errno not in (errno.ENOBUFS, errno.EAGAIN):
                raise
        self._drain_errors(refused)
        return False

    def _drain_errors(self, refused: dict[int, Ack]) -> None:
        try:
            for message in chain.from_iterable(self._received(socket.MSG_DONTWAIT)):
                if message.type == NLMSG_ERROR:
                    refused[message.sequence] = parse_ack(message)
        except BlockingIOError:
            return

    def _send(self, payloads: Sequence[bytes], flags_of_last: int) -> int:
        """Send requests in one system call with consecutive sequence numbers; return the first."""
        if self._sequence > _MAX_SEQUENCE:
            self._sequence = 0
        first = self._sequence + 1
        self._sequence += len(payloads)
        frames = [
            frame(self._family, NLM_F_REQUEST, sequence, payload)
            for sequence, payload in enumerate(payloads[:-1], first)
        ]
        last = frame(self._family, NLM_F_REQUEST | flags_of_last, self._sequence, payloads[-1])
        self._socket.send(b"".join([*frames, last]))
        return first

    def _received(self, flags: int = 0) -> Iterator[list[Message]]:
        while True:
            yield list(parse_messages(self._socket.recv(_RECEIVE_BYTES, flags)))

    def _answers(self, sequence: int) -> Iterator[list[Message]]:
        """Yield the answers to a request, one datagram at a time."""
        try:
            for messages in self._received():
                answers = [message for message in messages if message.sequence == sequence]
                if answers:
                    yield answers
        except OSError as error:
            raise KernelError(f"the kernel's answer over netlink was lost: {error}") from error


def _raise_if_refused(message: Message) -> None:
    if message.type in (NLMSG_ERROR, NLMSG_DONE):
        ack = parse_ack(message)
        if ack.errno:
            raise RequestRefused(ack)


def _chunks(payloads: Iterable[bytes]) -> Iterator[Sequence[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for payload in payloads:
        length = HEADER.size + padded(len(payload))
        if chunk and size + length > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(payload)
        size += length
    if chunk:
        yield chunk
