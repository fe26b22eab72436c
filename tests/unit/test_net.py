"""Addresses read from text, beside Python's own reading."""

from ipaddress import ip_address

from hypothesis import example, given
from hypothesis import strategies as st

from lvsctl.net import IPAddress, address_text, parse_address

ALMOST = st.lists(st.from_regex(r"[0-9]{1,3}", fullmatch=True), min_size=3, max_size=5)


@given(st.ip_addresses().map(str) | ALMOST.map(".".join) | st.text(max_size=20))
@example("192.0.2.11")
@example("010.0.2.11")
@example("1.2.3.256")
@example("1.2.3.²")
@example("1.2.3.+4")
@example("2001:db8::1%eth0")
@example("")
def test_it_reads_what_ip_address_reads_and_nothing_else(text: str) -> None:
    """Leading zeros and other digits are refused alike."""
    try:
        expected = ip_address(text)
    except ValueError:
        expected = None
    try:
        found = parse_address(text)
    except ValueError:
        found = None
    assert expected == found


@given(st.ip_addresses())
@example(ip_address("2001:db8::1%eth0"))
def test_it_writes_what_str_writes(address: IPAddress) -> None:
    """With the zone of a link-local address."""
    assert str(address) == address_text(address)
