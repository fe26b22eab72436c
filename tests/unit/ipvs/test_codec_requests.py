"""Requests, against the bytes that ipvsadm 1.31 sends.

Captured in the lab with an nlmon device while the command beside each ran; the netlink header is
left out, so that each starts with the generic header (command, version, reserved).
"""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from lvsctl.ipvs.codec.requests import (
    destinations_request,
    encode_operation,
    services_request,
    timeouts_request,
)
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
    Operation,
    Persistence,
    ServiceFlag,
    SetTimeouts,
    Timeouts,
    TunnelFlag,
    TunnelType,
    VirtualServiceConfig,
)
from lvsctl.net import Family, IpProtocol
from lvsctl.netlink.attributes import parse_attributes

WEB = AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.10"), 80)
DNS = AddressKey(IpProtocol.UDP, IPv4Address("198.51.100.10"), 53)
WEB6 = AddressKey(IpProtocol.TCP, IPv6Address("2001:db8::10"), 443)
MARK = FwmarkKey(Family.IPV4, 7)
GENERIC_HEADER_BYTES = 4


def at(address: str, port: int) -> DestinationKey:
    """Return a destination's key."""
    return DestinationKey(ip_address(address), port)


OF_IPVSADM: dict[str, tuple[Operation, str]] = {
    "-A -t 198.51.100.10:80 -s rr": (
        AddService(WEB, VirtualServiceConfig("rr")),
        (
            "01010000540001800600010002000000060002000600000014000300c633640a0000000000000000"
            "00000000060004000050000007000600727200000c00070000000000ffffffff0800080000000000"
            "08000900ffffffff"
        ),
    ),
    "-A -u 198.51.100.10:53 -s mh -b mh-fallback,mh-port -o": (
        AddService(DNS, VirtualServiceConfig("mh", ServiceFlag(0x1C))),
        (
            "01010000540001800600010002000000060002001100000014000300c633640a0000000000000000"
            "000000000600040000350000070006006d6800000c0007001c000000ffffffff0800080000000000"
            "08000900ffffffff"
        ),
    ),
    "-A -t [2001:db8::10]:443 -s wrr -p 360 -M 64": (
        AddService(WEB6, VirtualServiceConfig("wrr", persistence=Persistence(360, 64))),
        (
            "0101000054000180060001000a00000006000200060000001400030020010db80000000000000000"
            "000000100600040001bb000008000600777272000c00070001000000ffffffff0800080068010000"
            "0800090040000000"
        ),
    ),
    "-A -t 198.51.100.11:0 -s sh -p 300 -M 255.255.255.0": (
        AddService(
            AddressKey(IpProtocol.TCP, IPv4Address("198.51.100.11"), 0),
            VirtualServiceConfig("sh", persistence=Persistence(300, 24)),
        ),
        (
            "01010000540001800600010002000000060002000600000014000300c633640b0000000000000000"
            "00000000060004000000000007000600736800000c00070001000000ffffffff080008002c010000"
            "08000900ffffff00"
        ),
    ),
    "-A -u 198.51.100.12:5060 -s rr -p 60 --pe sip": (
        AddService(
            AddressKey(IpProtocol.UDP, IPv4Address("198.51.100.12"), 5060),
            VirtualServiceConfig("rr", persistence=Persistence(60, 32, "sip")),
        ),
        (
            "010100005c0001800600010002000000060002001100000014000300c633640c0000000000000000"
            "000000000600040013c40000070006007272000008000b00736970000c00070001000000ffffffff"
            "080008003c00000008000900ffffffff"
        ),
    ),
    "-A -f 7 -s wlc": (
        AddService(MARK, VirtualServiceConfig("wlc")),
        (
            "01010000380001800600010002000000080005000700000008000600776c63000c00070000000000"
            "ffffffff080008000000000008000900ffffffff"
        ),
    ),
    "-A -f 4294967295 -6 -s lc": (
        AddService(FwmarkKey(Family.IPV6, 0xFFFFFFFF), VirtualServiceConfig("lc")),
        (
            "0101000038000180060001000a00000008000500ffffffff070006006c6300000c00070000000000"
            "ffffffff08000800000000000800090080000000"
        ),
    ),
    "-A --sctp-service 198.51.100.10:80 -s wlc": (
        AddService(
            AddressKey(IpProtocol.SCTP, IPv4Address("198.51.100.10"), 80),
            VirtualServiceConfig("wlc"),
        ),
        (
            "01010000540001800600010002000000060002008400000014000300c633640a0000000000000000"
            "00000000060004000050000008000600776c63000c00070000000000ffffffff0800080000000000"
            "08000900ffffffff"
        ),
    ),
    "-E -t 198.51.100.10:80 -s wlc -b flag-1,flag-2,flag-3": (
        EditService(WEB, VirtualServiceConfig("wlc", ServiceFlag(0x38))),
        (
            "02010000540001800600010002000000060002000600000014000300c633640a0000000000000000"
            "00000000060004000050000008000600776c63000c00070038000000ffffffff0800080000000000"
            "08000900ffffffff"
        ),
    ),
    "-a -t 198.51.100.10:80 -r 192.0.2.11:80 -i -w 100": (
        AddDestination(WEB, at("192.0.2.11", 80), DestinationConfig(100)),
        (
            "05010000540001800600010002000000060002000600000014000300c633640a0000000000000000"
            "00000000060004000050000005000600000000000c00070000000000ffffffff0800080000000000"
            "08000900ffffffff6000028006000b000200000014000100c000020b000000000000000000000000"
            "06000200005000000800030002000000080004006400000005000d000000000006000e0000000000"
            "06000f000000000008000500000000000800060000000000"
        ),
    ),
    "-a -t 198.51.100.10:80 -r 192.0.2.12:80 -i"
    " --tun-type gue --tun-port 6080 --tun-csum -w 65535 -x 100 -y 50": (
        AddDestination(
            WEB,
            at("192.0.2.12", 80),
            DestinationConfig(
                65535,
                encapsulation=Encapsulation(TunnelType.GUE, 6080, TunnelFlag.CHECKSUM),
                upper_threshold=100,
                lower_threshold=50,
            ),
        ),
        (
            "05010000540001800600010002000000060002000600000014000300c633640a0000000000000000"
            "00000000060004000050000005000600000000000c00070000000000ffffffff0800080000000000"
            "08000900ffffffff6000028006000b000200000014000100c000020c000000000000000000000000"
            "0600020000500000080003000200000008000400ffff000005000d000100000006000e0017c00000"
            "06000f000100000008000500640000000800060032000000"
        ),
    ),
    "-a -t 198.51.100.10:80 -r 192.0.2.13:80 -i --tun-type gue --tun-port 6081 --tun-remcsum": (
        AddDestination(
            WEB,
            at("192.0.2.13", 80),
            DestinationConfig(
                1, encapsulation=Encapsulation(TunnelType.GUE, 6081, TunnelFlag.REMOTE_CHECKSUM)
            ),
        ),
        (
            "05010000540001800600010002000000060002000600000014000300c633640a0000000000000000"
            "00000000060004000050000005000600000000000c00070000000000ffffffff0800080000000000"
            "08000900ffffffff6000028006000b000200000014000100c000020d000000000000000000000000"
            "06000200005000000800030002000000080004000100000005000d000100000006000e0017c10000"
            "06000f000200000008000500000000000800060000000000"
        ),
    ),
    "-a -t 198.51.100.10:80 -r 192.0.2.14:80 -i --tun-type gre --tun-csum -w 0": (
        AddDestination(
            WEB,
            at("192.0.2.14", 80),
            DestinationConfig(
                0, encapsulation=Encapsulation(TunnelType.GRE, 0, TunnelFlag.CHECKSUM)
            ),
        ),
        (
            "05010000540001800600010002000000060002000600000014000300c633640a0000000000000000"
            "00000000060004000050000005000600000000000c00070000000000ffffffff0800080000000000"
            "08000900ffffffff6000028006000b000200000014000100c000020e000000000000000000000000"
            "06000200005000000800030002000000080004000000000005000d000200000006000e0000000000"
            "06000f000100000008000500000000000800060000000000"
        ),
    ),
    "-a -t 198.51.100.10:80 -r [2001:db8::11]:80 -i": (
        AddDestination(WEB, at("2001:db8::11", 80), DestinationConfig(1)),
        (
            "05010000540001800600010002000000060002000600000014000300c633640a0000000000000000"
            "00000000060004000050000005000600000000000c00070000000000ffffffff0800080000000000"
            "08000900ffffffff6000028006000b000a0000001400010020010db8000000000000000000000011"
            "06000200005000000800030002000000080004000100000005000d000000000006000e0000000000"
            "06000f000000000008000500000000000800060000000000"
        ),
    ),
    "-a -t [2001:db8::10]:443 -r [2001:db8::12]:443 -i --tun-type gre": (
        AddDestination(
            WEB6,
            at("2001:db8::12", 443),
            DestinationConfig(1, encapsulation=Encapsulation(TunnelType.GRE)),
        ),
        (
            "0501000054000180060001000a00000006000200060000001400030020010db80000000000000000"
            "000000100600040001bb000005000600000000000c00070000000000ffffffff0800080000000000"
            "08000900800000006000028006000b000a0000001400010020010db8000000000000000000000012"
            "0600020001bb00000800030002000000080004000100000005000d000200000006000e0000000000"
            "06000f000000000008000500000000000800060000000000"
        ),
    ),
    "-a -f 7 -r 192.0.2.11:0 -i": (
        AddDestination(MARK, at("192.0.2.11", 0), DestinationConfig(1)),
        (
            "05010000380001800600010002000000080005000700000005000600000000000c00070000000000"
            "ffffffff080008000000000008000900ffffffff6000028006000b000200000014000100c000020b"
            "00000000000000000000000006000200000000000800030002000000080004000100000005000d00"
            "0000000006000e000000000006000f000000000008000500000000000800060000000000"
        ),
    ),
    "-a -f 7 -r 192.0.2.15:8080 -m -w 3": (
        AddDestination(
            MARK,
            at("192.0.2.15", 8080),
            DestinationConfig(3, ForwardingMethod.MASQUERADE, None),
        ),
        (
            "05010000380001800600010002000000080005000700000005000600000000000c00070000000000"
            "ffffffff080008000000000008000900ffffffff6000028006000b000200000014000100c000020f"
            "000000000000000000000000060002001f9000000800030000000000080004000300000005000d00"
            "0000000006000e000000000006000f000000000008000500000000000800060000000000"
        ),
    ),
    "-a -f 7 -r 192.0.2.16:0 -g -w 3": (
        AddDestination(
            MARK, at("192.0.2.16", 0), DestinationConfig(3, ForwardingMethod.DIRECT_ROUTE, None)
        ),
        (
            "05010000380001800600010002000000080005000700000005000600000000000c00070000000000"
            "ffffffff080008000000000008000900ffffffff6000028006000b000200000014000100c0000210"
            "00000000000000000000000006000200000000000800030003000000080004000300000005000d00"
            "0000000006000e000000000006000f000000000008000500000000000800060000000000"
        ),
    ),
    "-e -t 198.51.100.10:80 -r 192.0.2.11:80 -i -w 0": (
        EditDestination(WEB, at("192.0.2.11", 80), DestinationConfig(0)),
        (
            "06010000540001800600010002000000060002000600000014000300c633640a0000000000000000"
            "00000000060004000050000005000600000000000c00070000000000ffffffff0800080000000000"
            "08000900ffffffff6000028006000b000200000014000100c000020b000000000000000000000000"
            "06000200005000000800030002000000080004000000000005000d000000000006000e0000000000"
            "06000f000000000008000500000000000800060000000000"
        ),
    ),
    "-d -t 198.51.100.10:80 -r 192.0.2.14:80": (
        DeleteDestination(WEB, at("192.0.2.14", 80)),
        (
            "07010000540001800600010002000000060002000600000014000300c633640a0000000000000000"
            "00000000060004000050000005000600000000000c00070000000000ffffffff0800080000000000"
            "08000900ffffffff6000028006000b000200000014000100c000020e000000000000000000000000"
            "06000200005000000800030003000000080004000100000005000d000000000006000e0000000000"
            "06000f000000000008000500000000000800060000000000"
        ),
    ),
    "-D -t [2001:db8::10]:443": (
        DeleteService(WEB6),
        (
            "0301000054000180060001000a00000006000200060000001400030020010db80000000000000000"
            "000000100600040001bb000005000600000000000c00070000000000ffffffff0800080000000000"
            "0800090080000000"
        ),
    ),
    "--set 900 120 300": (
        SetTimeouts(Timeouts(900, 120, 300)),
        ("0c01000008000400840300000800050078000000080006002c010000"),
    ),
}


def parts(payload: bytes) -> tuple[bytes, dict[int, dict[int, bytes]]]:
    """Return the generic header and the attributes within each top-level attribute."""
    outer = parse_attributes(payload, GENERIC_HEADER_BYTES)
    nested = {kind: dict(parse_attributes(value)) for kind, value in outer.items()}
    return payload[:GENERIC_HEADER_BYTES], nested


def whole(command: str) -> bool:
    """Return whether ipvsadm sends of this command nothing that the kernel does not read."""
    return command.startswith(("-A", "-E", "--set"))


@pytest.mark.parametrize("command", [c for c in OF_IPVSADM if whole(c)])
def test_a_described_service_is_encoded_to_the_bytes_of_ipvsadm(command: str) -> None:
    """Adding and editing a service, and the timeouts, are what ipvsadm sends, byte by byte."""
    operation, golden = OF_IPVSADM[command]
    assert golden == encode_operation(operation).hex()


@pytest.mark.parametrize("command", [c for c in OF_IPVSADM if not whole(c)])
def test_other_operations_are_what_ipvsadm_sends_without_what_the_kernel_ignores(
    command: str,
) -> None:
    """What ipvsadm fills a key up with, like an empty scheduler, lvsctl leaves out."""
    operation, golden = OF_IPVSADM[command]
    header, sent_by_ipvsadm = parts(bytes.fromhex(golden))
    our_header, ours = parts(encode_operation(operation))
    assert header == our_header
    for kind, attributes in ours.items():
        assert attributes.items() <= sent_by_ipvsadm[kind].items()


@pytest.mark.parametrize("command", [c for c in OF_IPVSADM if c.startswith(("-a", "-e"))])
def test_a_described_destination_is_encoded_to_the_bytes_of_ipvsadm(command: str) -> None:
    """The destination is the last attribute, and equal byte by byte."""
    operation, golden = OF_IPVSADM[command]
    destination_bytes = 96
    assert golden[-2 * destination_bytes :] == encode_operation(operation)[-96:].hex()


def test_questions_are_those_of_ipvsadm() -> None:
    """Listing all services, one service's destinations, and the timeouts."""
    assert services_request().hex() == "04010000"
    assert timeouts_request().hex() == "0d010000"
    assert destinations_request(MARK).hex() == "080100001400018006000100020000000800050007000000"
    assert destinations_request(DNS).hex() == (
        "08010000300001800600010002000000060002001100000014000300c633640a0000000000000000"
        "000000000600040000350000"
    )
