"""Reasons, as codes for programs beside the text for people."""

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

Why = Annotated[str, Field(description="Reason, in words; empty if everything is as declared.")]
ReasonCode = Annotated[
    str,
    Field(
        description="Code of the decisive reason, for programs; empty if there is none. All codes "
        "are in docs/reasons.md.",
        examples=["draining"],
    ),
]


class ReasonItem(TypedDict):
    """A reason in parts."""

    code: Annotated[str, Field(description="Stable, for programs.", examples=["draining"])]
    subject: Annotated[str, Field(description="What it is about; may be empty.")]
    parameters: Annotated[
        dict[str, Any],
        Field(description="By name; one that is a reason itself has code, subject, parameters."),
    ]
    text: Annotated[str, Field(description="The same in words.")]


class Explained(TypedDict):
    """Why something is as it is."""

    reason: Why
    code: ReasonCode
    reasons: Annotated[
        list[ReasonItem], Field(description="The reasons that `reason` joins; the decisive first.")
    ]
