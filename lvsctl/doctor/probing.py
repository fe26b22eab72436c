"""Sends probes with the don't-fragment flag and tells what became of each."""

import contextlib
import errno
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lvsctl.doctor.facts import Probed, Refusal, Way
from lvsctl.doctor.listening import Listener
from lvsctl.doctor.packets import (
    ICMP,
    ICMPV6,
    TOO_BIG,
    Error,
    Reply,
    echo,
    ip_packet,
    parse_answer,
    wrap,
)
from lvsctl.net import Family, IPAddress, family_of
from lvsctl.packet_size import IP_HEADER, overhead

WAIT_S = 0.5
TRIES = 3
SMALL = 64
"""Bytes of a small probe's IP packet, without the tunnel's."""
FAN = 16
"""How many sizes are tried at once."""
AT_ONCE = 200
"""Probes that are sent before their answers are waited for."""

_PMTUDISC_PROBE = 3  # linux/in.h: DF is set, and what was learnt about the path is not heeded
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER = 10, 23
_MAY_BE_REFUSED = frozenset(
    {errno.EMSGSIZE, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EPERM, errno.EINVAL, errno.EACCES}
)


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be probed.

    Attributes:
        what: A tunnel, or the address of a host for plain probes.
        outer_source: Source towards the real server or host.
        inner_source: Source of the packet inside, where its answer goes; None for plain ones.
        mtu: Bytes that the device takes.
    """

    what: Way | IPAddress
    outer_source: IPAddress
    inner_source: IPAddress | None
    mtu: int

    @property
    def destination(self) -> IPAddress:
        """Where packets are sent."""
        return self.what.rip if isinstance(self.what, Way) else self.what

    @property
    def smallest(self) -> int:
        """Bytes of a small probe."""
        if not isinstance(self.what, Way):
            return SMALL
        return SMALL + overhead(self.what.encapsulation, family_of(self.destination))

    @property
    def protocol(self) -> int:
        """IP protocol of the packets."""
        return self.packet(self.smallest, 0, 0)[0]

    def packet(self, size: int, identifier: int, sequence: int) -> tuple[int, bytes]:
        """Return protocol and payload of a probe whose IP packet has ``size`` bytes."""
        outer = family_of(self.destination)
        if not isinstance(self.what, Way) or self.inner_source is None:
            protocol = ICMP if outer is Family.IPV4 else ICMPV6
            content = size - IP_HEADER[outer]
            return protocol, echo(
                self.outer_source, self.destination, identifier, sequence, content
            )
        inner = family_of(self.what.vip)
        room = size - overhead(self.what.encapsulation, outer) - IP_HEADER[inner]
        request = echo(self.inner_source, self.what.vip, identifier, sequence, room)
        protocol = ICMP if inner is Family.IPV4 else ICMPV6
        packet = ip_packet(self.inner_source, self.what.vip, protocol, request)
        return wrap(self.what.encapsulation, packet, self.outer_source, self.destination)


def probe(targets: Sequence[Target]) -> Mapping[Way | IPAddress, Probed]:
    """Probe every target with a small packet, and the size of each path that answered.

    Of several VIPs at one real server over one tunnel, the first that answers measures the path.

    Raises:
        KernelLacks: The process may not.
    """
    found: dict[Way | IPAddress, Probed] = {}
    with contextlib.closing(Listener({ICMP, ICMPV6})) as listener:
        for start in range(0, len(targets), AT_ONCE):
            some = targets[start : start + AT_ONCE]
            answers = _ask(listener, [(target, target.smallest) for target in some])
            for target in some:
                found[target.what] = Probed(
                    answered=(target, target.smallest) in answers.answered,
                    refusals=answers.refusals(target, target.smallest),
                )
        for target in _one_for_each_path(targets, found):
            found[target.what] = _measure(listener, target, found[target.what])
    return found


def _one_for_each_path(
    targets: Sequence[Target], found: Mapping[Way | IPAddress, Probed]
) -> Iterator[Target]:
    seen = set()
    for target in targets:
        kind = target.what.encapsulation if isinstance(target.what, Way) else None
        path = (target.destination, kind)
        if path not in seen and found[target.what].answered:
            seen.add(path)
            yield target


def _measure(listener: Listener, target: Target, small: Probed) -> Probed:
    passed, refused = target.smallest, target.mtu + 1
    too_big: set[Refusal] = set()
    sizes = [target.mtu]
    while sizes:
        answers = _ask(listener, [(target, size) for size in sizes])
        passing = [size for size in sizes if (target, size) in answers.answered]
        passed = max([passed, *passing])
        refused = min([refused, *(size for size in sizes if size > passed)])
        too_big |= {
            refusal
            for size in sizes
            for refusal in answers.refusals(target, size)
            if refusal.what == TOO_BIG
        }
        step = max((refused - passed) // FAN, 1)
        sizes = list(range(passed + step, refused, step))
    ordered = tuple(sorted(too_big, key=lambda refusal: refusal.mtu))
    return replace(small, asked=target.mtu, passed=passed, too_big=ordered)


class _Answers:
    def __init__(self) -> None:
        self.answered: set[tuple[Target, int]] = set()
        self._errors: set[Error] = set()

    def note(self, answer: Reply | Error, asked: Sequence[tuple[Target, int]], own: int) -> None:
        match answer:
            case Reply(identifier=identifier, sequence=number):
                if identifier == own and number < len(asked):
                    self.answered.add(asked[number])
            case Error():
                self._errors.add(answer)

    def refusals(self, target: Target, size: int) -> tuple[Refusal, ...]:
        protocol = target.protocol
        return tuple(
            error.refusal
            for error in sorted(self._errors, key=str)
            if (error.destination, error.protocol, error.length)
            == (target.destination, protocol, size)
        )


def _ask(listener: Listener, asked: Sequence[tuple[Target, int]]) -> _Answers:
    """Send a probe of each size, again to those that do not answer, and wait for the answers."""
    identifier = int.from_bytes(os.urandom(2))
    answers = _Answers()
    for _ in range(TRIES):
        for number, each in enumerate(asked):
            if each not in answers.answered:
                _send(*each, identifier, number)
        for data in listener.packets(time.monotonic() + WAIT_S):
            answer = parse_answer(data)
            if answer is not None:
                answers.note(answer, asked, identifier)
            if len(answers.answered) == len(asked):
                return answers
    return answers


def _send(target: Target, size: int, identifier: int, sequence: int) -> None:
    protocol, payload = target.packet(size, identifier, sequence)
    family = family_of(target.destination)
    with socket.socket(int(family), socket.SOCK_RAW, protocol) as sending:
        if family is Family.IPV4:
            sending.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
        else:
            sending.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
        try:
            sending.sendto(payload, (str(target.destination), 0))
        except OSError as error:
            # Not sent is not answered; the route and this host's own firewall are checked by name.
            if error.errno not in _MAY_BE_REFUSED:
                raise
