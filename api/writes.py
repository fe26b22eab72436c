"""Writes of resources: PUT, PATCH, DELETE and dry runs."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Query, Request
from starlette.responses import Response

from api.access import Asking
from api.bodies import MAX_BODY_BYTES, read_body
from api.daemon import Daemon
from api.differences import differences
from api.edits import ResourceEdit
from api.merge_patch import merge_patch
from api.preconditions import Conditions, Preconditions
from api.reason_views import because
from api.rendering import large_response
from api.resources import Patchable, Removable, Resource
from api.schemas.answers import WriteAnswer
from lvsctl.director.daemon import DirectorDaemon
from lvsctl.director.write.committer import CommitResult

MAX_WAIT_S = 60

Wait = Annotated[
    float | None,
    Query(
        ge=0,
        le=MAX_WAIT_S,
        allow_inf_nan=False,
        description="Wait up to this many seconds until this director's kernel has applied it.",
    ),
]


@dataclass(frozen=True, slots=True)
class Writes:
    """Writes a resource for one request.

    Attributes:
        request: The request.
        daemon: The director.
        preconditions: Preconditions of the write.
        by: Who makes the request.
        source: Address that the request came from.
        wait_s: How long to wait for the kernel; None to respond when it is stored.
    """

    request: Request
    daemon: DirectorDaemon
    preconditions: Preconditions
    by: str
    source: str
    wait_s: float | None

    async def put(self, resource: Resource, max_bytes: int = MAX_BODY_BYTES) -> Response:
        """Create or replace it with the document in the request."""
        asked = await read_body(self.request, resource.put, max_bytes)
        edit = ResourceEdit(resource, self.preconditions, lambda _: asked)
        return await self._written(edit, resource)

    async def dry_put(self, resource: Resource, max_bytes: int = MAX_BODY_BYTES) -> Response:
        """Return what :meth:`put` would change, without storing it."""
        asked = await read_body(self.request, resource.put, max_bytes)
        edit = ResourceEdit(resource, self.preconditions, lambda _: asked)
        judged = await self.daemon.writer.dry_run(edit)

        def answer() -> WriteAnswer:
            found = differences(judged.before, judged.objects)
            return {**_answer(judged), "differences": [*found]}

        return await large_response(answer, etag=resource.etag(judged.before))

    async def patch(self, resource: Patchable) -> Response:
        """Apply the merge patch in the request."""
        patch = await read_body(self.request, lambda document: document)
        edit = ResourceEdit(
            resource,
            self.preconditions,
            lambda state: resource.put(merge_patch(resource.document(state), patch)),
        )
        return await self._written(edit, resource)

    async def delete(self, resource: Removable) -> Response:
        """Remove it."""
        edit = ResourceEdit(resource, self.preconditions, resource.delete)
        written = await self.daemon.writer.write(edit, by=self.by, source=self.source)
        return await written_response(self.daemon, written, self.wait_s)

    async def _written(self, edit: ResourceEdit, resource: Resource) -> Response:
        written = await self.daemon.writer.write(edit, by=self.by, source=self.source)
        return await written_response(
            self.daemon,
            written,
            self.wait_s,
            status=HTTPStatus.CREATED if edit.creates else HTTPStatus.OK,
            etag=resource.etag(written.state),
            location=resource.path if edit.creates else None,
        )


async def writes_of(
    request: Request, daemon: Daemon, conditions: Conditions, asking: Asking, wait: Wait = None
) -> Writes:
    """Return the writes of a request, with the parameters that all writes have."""
    return Writes(request, daemon, conditions, asking.author, asking.source, wait)


Write = Annotated[Writes, Depends(writes_of)]


async def written_response(
    daemon: DirectorDaemon,
    written: CommitResult,
    wait_s: float | None,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    etag: str | None = None,
    location: str | None = None,
) -> Response:
    """Return the response to a write; if ``wait_s`` is given, whether the kernel has applied it."""
    verdict = await daemon.loop.applied(written, wait_s) if wait_s is not None else None

    def answer() -> WriteAnswer:
        said = _answer(written)
        if verdict is None:
            return said
        why = because(verdict.reason)
        return said | {
            "applied": verdict.applied,
            "reason": f"{verdict.key}: {why['reason']}" if verdict.key else why["reason"],
            "code": why["code"],
            "reasons": why["reasons"],
        }

    return await large_response(answer, status, etag=etag, location=location)


def _answer(written: CommitResult) -> WriteAnswer:
    return WriteAnswer(
        revision=written.revision,
        changes=list(written.changes),
        operations=list(written.operations),
    )
