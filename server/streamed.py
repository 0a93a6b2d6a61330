"""Answers that are sent as they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class Streamed(StreamingResponse):
    """Chunks that are closed when they were sent or the client has gone, not when Python next looks for circles.

    Until then they hold what they are made of: files, and on the disk what has no name any more.
    """

    def __init__(
        self,
        chunks: Iterator[bytes],
        close: Callable[[], None],
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(chunks, media_type=media_type, headers=headers)
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them, and close them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()
