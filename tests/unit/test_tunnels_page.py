"""The table of sizes in docs/tunnels.md is what the code computes."""

from collections.abc import Iterator
from pathlib import Path

from lvsctl.host.interface import LinkConfig
from lvsctl.host.tunnel_kinds import header_bytes
from lvsctl.ipvs.table import Encapsulation, TunnelFlag, TunnelType
from lvsctl.net import Family
from lvsctl.packet_size import mss, overhead

PAGE = Path(__file__).parents[2] / "docs" / "tunnels.md"
START = "<!-- sizes: written by tests/unit/test_tunnels_page.py -->\n"
END = "<!-- end of sizes -->\n"
LINK_MTU = 1500
ENCAPSULATIONS = {
    "`ipip`": Encapsulation(),
    "`gre`": Encapsulation(TunnelType.GRE),
    "`gre`, checksum": Encapsulation(TunnelType.GRE, flags=TunnelFlag.CHECKSUM),
    "`gue`": Encapsulation(TunnelType.GUE, 6080),
}


def rows() -> Iterator[tuple[str, Family, int]]:
    for name, encapsulation in ENCAPSULATIONS.items():
        for outer in Family:
            yield name, outer, overhead(encapsulation, outer)
    yield "`gretap`", Family.IPV4, header_bytes(LinkConfig("gretap", up=True))


def table() -> str:
    lines = [
        "| tunnel | outer header | adds | MTU | MSS of IPv4 | MSS of IPv6 |",
        "|---|---|---|---|---|---|",
    ]
    for name, outer, added in rows():
        mtu = LINK_MTU - added
        sizes = (added, mtu, mss(mtu, Family.IPV4), mss(mtu, Family.IPV6))
        lines.append(f"| {name} | {outer} | {' | '.join(map(str, sizes))} |")
    return "\n".join(lines) + "\n"


def test_the_page_has_the_sizes_of_the_code() -> None:
    """What to write there is what the assertion shows."""
    _, _, rest = PAGE.read_text().partition(START)
    written, end, _ = rest.partition(END)
    assert END == end
    assert table() == written
