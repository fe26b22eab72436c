"""Sends probes with the don't-fragment flag and collects the answers."""

import contextlib
import errno
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lvsctl.doctor.capture import PacketCapture
from lvsctl.doctor.facts import IcmpError, ProbeResult, TunnelPath
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
SMALL_SIZE = 64
"""Size in bytes of a small probe's IP packet, without the tunnel's overhead."""
SIZES_AT_ONCE = 16
"""Packet sizes tried in one round of the search for the path MTU."""
PROBES_AT_ONCE = 200
"""Small probes sent in one round."""

_PMTUDISC_PROBE = 3  # linux/in.h: set DF, ignore the path MTU that the kernel has learnt
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER = 10, 23
_MAY_BE_REFUSED = frozenset(
    {errno.EMSGSIZE, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EPERM, errno.EINVAL, errno.EACCES}
)


@dataclass(frozen=True, slots=True)
class Target:
    """What to probe.

    Attributes:
        what: A tunnel, or the address of a host for plain pings.
        outer_source: Source address of the packets sent.
        inner_source: Source address of the inner packet, which the reply goes to; None for plain
            pings.
        mtu: The outgoing device's MTU.
    """

    what: TunnelPath | IPAddress
    outer_source: IPAddress
    inner_source: IPAddress | None
    mtu: int

    @property
    def destination(self) -> IPAddress:
        """Destination of the packets sent."""
        return self.what.rip if isinstance(self.what, TunnelPath) else self.what

    @property
    def smallest(self) -> int:
        """Size in bytes of a small probe."""
        if not isinstance(self.what, TunnelPath):
            return SMALL_SIZE
        return SMALL_SIZE + overhead(self.what.encapsulation, family_of(self.destination))

    @property
    def protocol(self) -> int:
        """IP protocol of the packets sent."""
        return self.packet(self.smallest, 0, 0)[0]

    def packet(self, size: int, identifier: int, sequence: int) -> tuple[int, bytes]:
        """Return protocol and payload of a probe whose IP packet has ``size`` bytes."""
        outer = family_of(self.destination)
        if not isinstance(self.what, TunnelPath) or self.inner_source is None:
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


def probe(targets: Sequence[Target]) -> Mapping[TunnelPath | IPAddress, ProbeResult]:
    """Probe every target with a small packet, then measure the MTU of each path that answered.

    If several VIPs share a real server and a tunnel, the path is measured once.

    Raises:
        KernelLacks: The process lacks CAP_NET_RAW.
    """
    found: dict[TunnelPath | IPAddress, ProbeResult] = {}
    with contextlib.closing(PacketCapture({ICMP, ICMPV6})) as capture:
        for start in range(0, len(targets), PROBES_AT_ONCE):
            some = targets[start : start + PROBES_AT_ONCE]
            answers = _ask(capture, [(target, target.smallest) for target in some])
            for target in some:
                found[target.what] = ProbeResult(
                    answered=(target, target.smallest) in answers.answered,
                    icmp_errors=answers.icmp_errors(target, target.smallest),
                )
        for target in _one_for_each_path(targets, found):
            found[target.what] = _measure(capture, target, found[target.what])
    return found


def _one_for_each_path(
    targets: Sequence[Target], found: Mapping[TunnelPath | IPAddress, ProbeResult]
) -> Iterator[Target]:
    seen = set()
    for target in targets:
        kind = target.what.encapsulation if isinstance(target.what, TunnelPath) else None
        path = (target.destination, kind)
        if path not in seen and found[target.what].answered:
            seen.add(path)
            yield target


def _measure(capture: PacketCapture, target: Target, small: ProbeResult) -> ProbeResult:
    passed, refused = target.smallest, target.mtu + 1
    too_big: set[IcmpError] = set()
    sizes = [target.mtu]
    while sizes:
        answers = _ask(capture, [(target, size) for size in sizes])
        passing = [size for size in sizes if (target, size) in answers.answered]
        passed = max([passed, *passing])
        refused = min([refused, *(size for size in sizes if size > passed)])
        too_big |= {
            icmp_error
            for size in sizes
            for icmp_error in answers.icmp_errors(target, size)
            if icmp_error.what == TOO_BIG
        }
        step = max((refused - passed) // SIZES_AT_ONCE, 1)
        sizes = list(range(passed + step, refused, step))
    ordered = tuple(sorted(too_big, key=lambda icmp_error: icmp_error.mtu))
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

    def icmp_errors(self, target: Target, size: int) -> tuple[IcmpError, ...]:
        protocol = target.protocol
        return tuple(
            error.icmp_error
            for error in sorted(self._errors, key=str)
            if (error.destination, error.protocol, error.length)
            == (target.destination, protocol, size)
        )


def _ask(capture: PacketCapture, asked: Sequence[tuple[Target, int]]) -> _Answers:
    """Send probes, given as (target, size), and wait for the answers; retry unanswered ones."""
    identifier = int.from_bytes(os.urandom(2))
    answers = _Answers()
    for _ in range(TRIES):
        for number, each in enumerate(asked):
            if each not in answers.answered:
                _send(*each, identifier, number)
        for data in capture.packets(time.monotonic() + WAIT_S):
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
            # Counts as unanswered; other checks name the missing route or the firewall.
            if error.errno not in _MAY_BE_REFUSED:
                raise
