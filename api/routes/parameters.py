"""Names in paths."""

from typing import Annotated

from fastapi import Path

from lvsctl.farm.rules.fields import NAME_PATTERN

PATTERN = {"pattern": NAME_PATTERN}
"""For the documentation only: an invalid name is not found, or refused with its document."""

ServiceName = Annotated[str, Path(examples=["web"], json_schema_extra=PATTERN)]
PoolName = Annotated[str, Path(examples=["web"], json_schema_extra=PATTERN)]
ServerName = Annotated[str, Path(examples=["rs1"], json_schema_extra=PATTERN)]
TunnelName = Annotated[str, Path(examples=["c2d"], json_schema_extra=PATTERN)]
AgentName = Annotated[str, Path(examples=["rs3"], json_schema_extra=PATTERN)]
TokenName = Annotated[str, Path(examples=["ci"], json_schema_extra=PATTERN)]
