"""Name servers for tests."""

from collections.abc import Callable

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Records = tuple[str, str, str]
Change = Callable[[dns.message.Message], None]


def name_server(
    *records: Records, change: Change = lambda _: None
) -> Callable[[bytes], list[bytes]]:
    """Return a server that answers every query with these records."""

    def answer(asked: bytes) -> list[bytes]:
        message = dns.message.make_response(dns.message.from_wire(asked))
        for owner, type_, data in records:
            message.answer.append(dns.rrset.from_text(owner, 60, "IN", type_, data))
        change(message)
        return [message.to_wire()]

    return answer


def refused(message: dns.message.Message) -> None:
    """Turn an answer into a refusal."""
    message.set_rcode(dns.rcode.REFUSED)


def truncated(message: dns.message.Message) -> None:
    """Turn an answer into a truncated one."""
    message.flags |= dns.flags.TC
