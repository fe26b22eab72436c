"""The members of an etcd as each of them sees itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lvsctl.errors import StoreError
from lvsctl.store.etcd.gateway import Access, Gateway

WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """One member.

    Attributes:
        endpoint: Its URL.
        version: Of etcd; empty where it does not answer.
        leads: Whether it is the leader.
        size: Of its database, in bytes.
        problem: Why it does not answer; empty where it does.
    """

    endpoint: str
    version: str = ""
    leads: bool = False
    size: int = 0
    problem: str = ""


def member_statuses(access: Access) -> Sequence[MemberStatus]:
    """Ask each member for itself."""
    return [_status(replace(access, endpoints=(endpoint,))) for endpoint in access.endpoints]


def _status(access: Access) -> MemberStatus:
    (endpoint,) = access.endpoints
    gateway = Gateway(access)
    try:
        found = gateway.ask("maintenance/status", {}, WITHIN_S)
    except StoreError as error:
        return MemberStatus(endpoint, problem=str(error))
    finally:
        gateway.close()
    leads = found.get("leader") == found["header"]["member_id"]
    return MemberStatus(endpoint, str(found["version"]), leads, int(found.get("dbSize", 0)))
