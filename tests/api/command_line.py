"""The command line against the real app, in one process."""

from collections.abc import Callable

import httpx
from click.testing import Result

from tests.api.bench import Bench

Run = Callable[..., Result]
"""What the fixture ``run`` gives."""


class ThroughTheApp(httpx.BaseTransport):
    """Takes the client's requests to the app, with exactly what they carry."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._bench.portal.call(self._handle, request)

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        transport = httpx.ASGITransport(self._bench.app, raise_app_exceptions=False)
        sent = httpx.Request(
            request.method, request.url, headers=request.headers, content=request.read()
        )
        answer = await transport.handle_async_request(sent)
        content = await answer.aread()
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)
