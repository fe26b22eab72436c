"""Responses of writes, plan and readiness, and problem details (RFC 9457)."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas.reasons import Explained, ReasonCode, ReasonItem


class Difference(TypedDict):
    """One difference of the farm."""

    op: Literal["add", "remove", "change"]
    path: Annotated[
        str,
        Field(
            description="JSON pointer (RFC 6901) into the farm file, with names for the items of "
            "lists.",
            examples=["/pools/web/real_servers/rs1/weight"],
        ),
    ]
    old: Annotated[Any, Field(description="null: it was not there.", examples=[100])]
    new: Annotated[Any, Field(description="null: it is not there any more.", examples=[50])]


class WriteAnswer(TypedDict):
    """Result of a write."""

    revision: Annotated[int, Field(description="Revision of the store after the write.")]
    changes: Annotated[list[str], Field(description="Objects that changed.")]
    operations: Annotated[
        list[str], Field(description="Resulting operations on the IPVS table, without drift.")
    ]
    differences: NotRequired[
        Annotated[list[Difference], Field(description="With dry_run: field by field.")]
    ]
    applied: NotRequired[
        Annotated[
            bool,
            Field(description="With wait: this director's kernel has applied it."),
        ]
    ]
    reason: NotRequired[Annotated[str, Field(description="With wait: why it is not applied.")]]
    code: NotRequired[ReasonCode]
    reasons: NotRequired[list[ReasonItem]]


class AdoptAnswer(TypedDict):
    """The virtual services that were adopted."""

    adopted: Annotated[list[str], Field(examples=[["tcp 198.51.100.10:80"]])]


class Conflict(Explained):
    """A virtual service that the farm declares but lvsctl did not create."""

    key: str
    service: str


class PlanAnswer(TypedDict):
    """Difference between the desired and the observed state."""

    revision: int
    operations: Annotated[list[str], Field(description="Changes of the IPVS table, in order.")]
    host_changes: Annotated[list[str], Field(description="Changes of VIPs and sysctls.")]
    conflicts: list[Conflict]
    foreign: Annotated[
        list[str], Field(description="Virtual services not managed by lvsctl; never changed.")
    ]
    problems: list[str]
    problem_reasons: Annotated[list[ReasonItem], Field(description="The same, in parts.")]


class Check(TypedDict):
    """State of one component of the director."""

    name: Annotated[
        str,
        Field(
            examples=["kernel"],
            description="cycle, kernel, farm, store, local-state, events, disk, access.",
        ),
    ]
    ok: bool
    detail: Annotated[str, Field(description="What is wrong; may also be set if ok is true.")]
    code: ReasonCode


class Readiness(TypedDict):
    """Readiness of the director."""

    ready: bool
    checks: list[Check]


class DirectorProblems(TypedDict):
    """Problems of the director itself."""

    problems: list[Check]


class Health(TypedDict):
    """Liveness of the director."""

    status: Literal["up"]
    director: str


class ProblemItem(TypedDict):
    """One thing that is wrong."""

    pointer: Annotated[
        str,
        Field(
            description="JSON pointer (RFC 6901) to the field; empty: the whole document.",
            examples=["/vip"],
        ),
    ]
    code: Annotated[str, Field(description="What kind of thing is wrong.", examples=["missing"])]
    detail: str
    allowed: Annotated[str, Field(description="What is allowed instead.")]


class ProblemDetails(TypedDict):
    """Why a request was refused (RFC 9457); nothing was changed."""

    type: Annotated[str, Field(examples=["urn:lvsctl:problem:invalid-input"])]
    title: str
    status: int
    detail: str
    code: Annotated[
        str,
        Field(
            description="Why, for programs; all codes are in docs/reasons.md.",
            examples=["invalid-input"],
        ),
    ]
    subject: Annotated[str, Field(description="What it is about; may be empty.")]
    parameters: Annotated[dict[str, Any], Field(description="Parts of the detail, by name.")]
    errors: list[ProblemItem]
    plan: NotRequired[Annotated[list[str], Field(description="What the change would do.")]]
