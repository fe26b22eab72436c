"""The kernel's connections, and where a connection goes."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from lvsctl.director.explain import Cause


class KernelConnection(TypedDict):
    """An entry of the kernel's connection table."""

    protocol: Annotated[
        str, Field(description="ip: the persistence of a firewall mark.", examples=["tcp"])
    ]
    client: str
    client_port: Annotated[int, Field(description="0: keeps a client with its server.")]
    vip: str
    vip_port: int
    server: Annotated[str, Field(description="Address of the real server.")]
    state: Annotated[str, Field(examples=["ESTABLISHED"])]
    expires: Annotated[str, Field(description="When the kernel forgets it.", examples=["14m59s"])]


class Connections(TypedDict):
    """A page of connections."""

    connections: list[KernelConnection]
    next: Annotated[
        int | None, Field(description="`offset` of the next page; null: this is the last one.")
    ]


class ExplainedServer(TypedDict):
    """A real server that a connection goes or may go to."""

    name: Annotated[str | None, Field(description="null: not of the farm.")]
    address: str


class ExplainAnswer(TypedDict):
    """Where a connection goes."""

    key: Annotated[str | None, Field(description="The virtual service.")]
    service: Annotated[str | None, Field(description="The farm's service; null: not lvsctl's.")]
    scheduler: str
    cause: Annotated[Cause, Field(description="What decides it.")]
    reason: Annotated[str, Field(description="The same, for a person.")]
    servers: Annotated[
        list[ExplainedServer], Field(description="One, or those among which the scheduler chooses.")
    ]
    connection: KernelConnection | None
