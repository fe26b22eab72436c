"""The table in ipvsadm's words, both directions; the texts are what ipvsadm 1.31 printed."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvsctl.errors import MalformedMessage
from lvsctl.ipvs.save_format import format_table, operation_arguments
from lvsctl.ipvs.save_parser import parse_table
from lvsctl.ipvs.table import (
    AddDestination,
    AddressKey,
    AddService,
    DeleteDestination,
    DeleteService,
    DestinationConfig,
    DestinationKey,
    EditDestination,
    EditService,
    Encapsulation,
    ForwardingMethod,
    FwmarkKey,
    IpvsTable,
    Operation,
    Persistence,
    ServiceFlag,
    ServiceKey,
    SetTimeouts,
    Timeouts,
    TunnelFlag,
    TunnelType,
    VirtualService,
    VirtualServiceConfig,
)
from lvsctl.net import Family, IpProtocol
from tests.unit.ipvs import strategies

PRINTED = """\
-A -f -1 -6 -s mh -p 60 -M 64 -b mh-fallback,mh-port
-a -f -1 -6 -r [2001:db8::1]:0 -i -w 1 --tun-type ipip
-A -t 198.51.100.10:80 -s rr
-a -t 198.51.100.10:80 -r 192.0.2.1:80 -i -w 1 --tun-type ipip
-a -t 198.51.100.10:80 -r 192.0.2.3:80 -i -w 1 --tun-type gre --tun-csum
-a -t 198.51.100.10:80 -r 192.0.2.4:80 -i -w 1 --tun-type gre --tun-nocsum
-a -t 198.51.100.10:80 -r [2001:db8::1]:80 -i -w 7 --tun-type gue --tun-port 6080 --tun-remcsum
-A -t 250.0.0.1:54 -s mh -p 9 -M 0.0.0.0
-A -u 10.0.0.1:53 -s wlc -o
-A --sctp-service 10.0.0.1:53 -s wlc
-A -t [2001:db8::10]:443 -s rr -b flag-1,flag-3
-A -f 5 -s sh -p 60 -M 255.255.255.0 --pe sip -o -b sh-port
-a -f 5 -r 192.0.2.3:0 -m -w 3
-a -f 5 -r 192.0.2.4:0 -g -w 0
"""


def at(address: str, port: int) -> DestinationKey:
    return DestinationKey(ip_address(address), port)


def service(protocol: IpProtocol, vip: str, port: int) -> AddressKey:
    return AddressKey(protocol, ip_address(vip), port)


WEB = service(IpProtocol.TCP, "198.51.100.10", 80)
MARK6 = FwmarkKey(Family.IPV6, 0xFFFFFFFF)
TABLE: IpvsTable = {
    MARK6: VirtualService(
        VirtualServiceConfig("mh", ServiceFlag(0x18), Persistence(60, 64)),
        {at("2001:db8::1", 0): DestinationConfig(1)},
    ),
    WEB: VirtualService(
        VirtualServiceConfig("rr"),
        {
            at("192.0.2.1", 80): DestinationConfig(1),
            at("192.0.2.3", 80): DestinationConfig(
                1, encapsulation=Encapsulation(TunnelType.GRE, 0, TunnelFlag.CHECKSUM)
            ),
            at("192.0.2.4", 80): DestinationConfig(1, encapsulation=Encapsulation(TunnelType.GRE)),
            at("2001:db8::1", 80): DestinationConfig(
                7, encapsulation=Encapsulation(TunnelType.GUE, 6080, TunnelFlag.REMOTE_CHECKSUM)
            ),
        },
    ),
    service(IpProtocol.TCP, "250.0.0.1", 54): VirtualService(
        VirtualServiceConfig("mh", persistence=Persistence(9, 0))
    ),
    service(IpProtocol.UDP, "10.0.0.1", 53): VirtualService(
        VirtualServiceConfig("wlc", ServiceFlag.ONE_PACKET)
    ),
    service(IpProtocol.SCTP, "10.0.0.1", 53): VirtualService(VirtualServiceConfig("wlc")),
    service(IpProtocol.TCP, "2001:db8::10", 443): VirtualService(
        VirtualServiceConfig("rr", ServiceFlag.SCHED1 | ServiceFlag.SCHED3)
    ),
    FwmarkKey(Family.IPV4, 5): VirtualService(
        VirtualServiceConfig("sh", ServiceFlag(0x14), Persistence(60, 24, "sip")),
        {
            at("192.0.2.3", 0): DestinationConfig(3, ForwardingMethod.MASQUERADE, None),
            at("192.0.2.4", 0): DestinationConfig(0, ForwardingMethod.DIRECT_ROUTE, None),
        },
    ),
}


@st.composite
def tables(draw: st.DrawFn) -> IpvsTable:
    table: dict[ServiceKey, VirtualService] = {}
    for key in draw(st.lists(strategies.service_keys, max_size=4, unique=True)):
        destinations = {}
        for rip in draw(st.lists(strategies.destination_keys(key), max_size=3, unique=True)):
            config = draw(strategies.destination_configs(key, rip))
            destinations[rip] = replace(config, upper_threshold=0, lower_threshold=0)
        table[key] = VirtualService(draw(strategies.service_configs(key)), destinations)
    return table


def test_a_table_is_printed_as_ipvsadm_prints_it() -> None:
    """Every option, in ipvsadm's order, and its odd order of addresses over 2**31 apart."""
    assert PRINTED == format_table(TABLE)


def test_what_ipvsadm_prints_is_read() -> None:
    """Every option comes back, a mark with a sign as the number that it is."""
    assert parse_table(PRINTED) == TABLE


@given(table=tables())
def test_what_is_printed_is_read_again(table: IpvsTable) -> None:
    """The two directions are each other's inverse."""
    assert parse_table(format_table(table)) == table


def test_an_empty_table_is_no_text() -> None:
    """And no text is an empty table."""
    assert format_table({}) == ""
    assert parse_table("") == {}


READ = {
    "a flag that ipvsadm does not name": (
        "-A -t 198.51.100.10:80 -s mh -b ",
        {WEB: VirtualService(VirtualServiceConfig("mh"))},
    ),
    "a netmask that is no prefix": (
        "-A -t 198.51.100.10:80 -s rr -p 9 -M 255.0.255.0",
        {WEB: VirtualService(VirtualServiceConfig("rr", persistence=Persistence(9, -1)))},
    ),
    "a service of a protocol that is not balanced": (
        (
            "-A --xxx-service 198.51.100.10:80 -s rr\n"
            "-a --xxx-service 198.51.100.10:80 -r 192.0.2.1:80 -i -w 1 --tun-type ipip"
        ),
        {},
    ),
    "a forwarding method that ipvsadm does not name": (
        "-A -t 198.51.100.10:80 -s rr\n-a -t 198.51.100.10:80 -r 192.0.2.1:80 (null) -w 1",
        {
            WEB: VirtualService(
                VirtualServiceConfig("rr"),
                {at("192.0.2.1", 80): DestinationConfig(1, ForwardingMethod.BYPASS, None)},
            )
        },
    ),
    "a tunnel of a type that ipvsadm does not name": (
        "-A -t 198.51.100.10:80 -s rr\n-a -t 198.51.100.10:80 -r 192.0.2.1:80 -i -w 1",
        {
            WEB: VirtualService(
                VirtualServiceConfig("rr"),
                {at("192.0.2.1", 80): DestinationConfig(1, ForwardingMethod.TUNNEL, None)},
            )
        },
    ),
}


@pytest.mark.parametrize("what", READ)
def test_reads_what_other_tools_made(what: str) -> None:
    """Nothing that the kernel takes makes the whole table unreadable."""
    text, table = READ[what]
    assert parse_table(text) == table


@pytest.mark.parametrize(
    "line",
    [
        "-A -t 198.51.100.10:80",
        "-A -t 198.51.100.10 -s rr",
        "-A -t 198.51.100.10:http -s rr",
        "-A -t 198.51.100.256:80 -s rr",
        "-A -s rr",
        "-A -t 198.51.100.10:80 -s rr -b mh-port",
        "-A -t 198.51.100.10:80 -s rr -p",
        "-a -t 198.51.100.10:80 -r 192.0.2.1:80 -i -w 1",
        "Segmentation fault",
    ],
)
def test_a_line_that_is_not_understood_is_named(line: str) -> None:
    """Never guessed at and never passed over."""
    with pytest.raises(MalformedMessage) as raised:
        parse_table(line)
    assert repr(line) in str(raised.value)


RIP = at("192.0.2.11", 80)
COMMANDS: dict[str, Operation] = {
    "-A -t 198.51.100.10:80 -s mh -b mh-fallback": AddService(
        WEB, VirtualServiceConfig("mh", ServiceFlag.SCHED1)
    ),
    "-E -f 4294967295 -6 -s rr -p 300 -M 64 --pe sip -o": EditService(
        MARK6, VirtualServiceConfig("rr", ServiceFlag.ONE_PACKET, Persistence(300, 64, "sip"))
    ),
    "-D --sctp-service [2001:db8::1]:80": DeleteService(
        service(IpProtocol.SCTP, "2001:db8::1", 80)
    ),
    "-a -t 198.51.100.10:80 -r 192.0.2.11:80 -i -w 5 --tun-type ipip -x 0 -y 0": AddDestination(
        WEB, RIP, DestinationConfig(5)
    ),
    "-e -t 198.51.100.10:80 -r 192.0.2.11:80 -i -w 5 "
    "--tun-type gue --tun-port 6080 --tun-csum -x 9 -y 4": EditDestination(
        WEB,
        RIP,
        DestinationConfig(
            5,
            encapsulation=Encapsulation(TunnelType.GUE, 6080, TunnelFlag.CHECKSUM),
            upper_threshold=9,
            lower_threshold=4,
        ),
    ),
    "-d -f 4294967295 -6 -r 192.0.2.11:80": DeleteDestination(MARK6, RIP),
    "--set 900 0 300": SetTimeouts(Timeouts(900, 0, 300)),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_operation_is_a_command_line(command: str) -> None:
    """Thresholds are always given, as an edit without them would leave 0."""
    assert command.split() == operation_arguments(COMMANDS[command])
