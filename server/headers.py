"""A bound on request headers: uvicorn with httptools takes endless ones."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX = 65_536


class BoundedHeadersProtocol(HttpToolsProtocol):
    """HTTP/1.1 that hangs up on a request line and headers above 64 KiB."""

    _in_head = True
    _head_bytes = 0

    def on_message_begin(self) -> None:
        """Count from here."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        """Stop counting: bodies are bounded by whoever reads them."""
        super().on_headers_complete()
        self._in_head = False

    def data_received(self, data: bytes) -> None:
        """Take bytes from the connection."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                self.send_400_response("The headers are too long.")
