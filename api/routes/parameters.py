"""The names in addresses."""

from typing import Annotated

from fastapi import Path

ServiceName = Annotated[str, Path(description="Name of the service.", examples=["web"])]
PoolName = Annotated[str, Path(description="Name of the pool.", examples=["web"])]
ServerName = Annotated[str, Path(description="Name of the real server.", examples=["rs1"])]
AgentName = Annotated[str, Path(description="Name of the agent.", examples=["rs3"])]
