"""What writes, the plan and the health checks answer, and problem details (RFC 9457)."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict


class WriteAnswer(TypedDict):
    """What came of a write."""

    revision: Annotated[int, Field(description="Of the store, with the write in it.")]
    changes: Annotated[list[str], Field(description="Which objects it changed.")]
    operations: Annotated[
        list[str], Field(description="What it does to a table that is as it should be.")
    ]
    applied: NotRequired[
        Annotated[
            bool,
            Field(description="With wait: its keys are as they should be in this kernel."),
        ]
    ]
    reason: NotRequired[Annotated[str, Field(description="With wait: why they are not.")]]


class AdoptAnswer(TypedDict):
    """The virtual services that are lvsctl's from now on."""

    adopted: Annotated[list[str], Field(examples=[["tcp 198.51.100.10:80"]])]


class Conflict(TypedDict):
    """A virtual service that the farm wants and somebody else created."""

    key: str
    service: str
    reason: str


class PlanAnswer(TypedDict):
    """What differs between what should be and what is."""

    revision: int
    operations: Annotated[list[str], Field(description="For the IPVS table, in their order.")]
    host_changes: Annotated[list[str], Field(description="For VIPs and sysctls.")]
    conflicts: list[Conflict]
    foreign: Annotated[list[str], Field(description="Not lvsctl's and not wanted: untouched.")]
    problems: list[str]


class Check(TypedDict):
    """One thing that a director needs."""

    name: Annotated[
        str,
        Field(
            examples=["kernel"],
            description="cycle, kernel, farm, store, local-state, events, disk.",
        ),
    ]
    ok: bool
    detail: Annotated[str, Field(description="What is wrong; may also be said of what is ok.")]


class Readiness(TypedDict):
    """Whether the director does its work."""

    ready: bool
    checks: list[Check]


class DirectorProblems(TypedDict):
    """What is wrong with the director itself."""

    problems: list[Check]


class Health(TypedDict):
    """The process is up."""

    status: Literal["up"]
    director: str


class ProblemItem(TypedDict):
    """One thing that is wrong."""

    pointer: Annotated[
        str,
        Field(description="JSON pointer to it (RFC 6901); empty: the whole.", examples=["/vip"]),
    ]
    detail: str
    allowed: Annotated[str, Field(description="What would be right.")]


class ProblemDetails(TypedDict):
    """Why a request was refused (RFC 9457); nothing was changed."""

    type: Annotated[str, Field(examples=["urn:lvsctl:problem:invalid-input"])]
    title: str
    status: int
    detail: str
    errors: list[ProblemItem]
    plan: NotRequired[Annotated[list[str], Field(description="What it would have done.")]]
