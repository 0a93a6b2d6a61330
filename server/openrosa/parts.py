"""The parts of a submission, streamed: the XML to memory up to a limit, every other file to an upload.

Names come as raw UTF-8 with only `"`, CR and LF percent-encoded (okhttp's MultipartBody); a part without a file name
is named by its part name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Self

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from starlette.types import Receive, Scope

from server.openrosa.messages import Message
from server.problems import Problem
from server.store.blobs import Upload

XML_PART = "xml_submission_file"
INCOMPLETE_PART = "*isIncomplete*"
PARTS_MAX = 1000
NAME_CHARS_MAX = 255
UNQUOTED = {"%22": '"', "%0D": " ", "%0A": " "}
ZERO_WIDTH_NON_JOINER = "\u200c"


class ClientGoneError(Exception):
    """The connection ended before the request did."""


@dataclass(slots=True)
class FilePart:
    """A file of the request, not yet among the blobs."""

    name: str
    content_type: str
    upload: Upload


@dataclass(slots=True)
class Parts:
    """What has arrived. oversize: the XML, once it is above `xml_bytes_max`."""

    open_upload: Callable[[], Upload]
    xml_bytes_max: int
    xml: bytearray | None = None
    oversize: Upload | None = None
    files: list[FilePart] = field(default_factory=list)
    target: bytearray | Upload | None = None

    def begin(self, segment: MultipartSegment) -> None:
        """Take the headers of the next part."""
        name = _decoded(segment.name or "")
        if name == XML_PART:
            self.xml = self.target = bytearray()
        elif name == INCOMPLETE_PART:
            self.target = None
        else:
            file_name = clean_name(_decoded(segment.filename or "") or name)
            self.target = self.open_upload()
            content_type = _decoded(segment.content_type or "") or "application/octet-stream"
            self.files.append(FilePart(file_name, content_type, self.target))

    def write(self, chunk: bytes | bytearray) -> None:
        """Take bytes of the current part."""
        if isinstance(self.target, Upload):
            self.target.write(chunk)
        elif self.target is not None:
            self.target += chunk
            if len(self.target) > self.xml_bytes_max:
                self.oversize = self.open_upload()
                self.oversize.write(self.target)
                self.xml, self.target = bytearray(), self.oversize

    def close(self) -> None:
        """Drop what was spooled."""
        for part in self.files:
            part.upload.close()
        if self.oversize:
            self.oversize.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def read_parts(scope: Scope, receive: Receive, parts: Parts, request_bytes_max: int) -> None:
    """Read the whole request into `parts`.

    Raises Problem 400.1 (no multipart), 400.2 (it ends before its last boundary), 413.1 (too large), and
    ClientGoneError when the connection is lost: a truncated body must never pass for a whole one.
    """
    boundary = _boundary(scope)
    received = 0
    try:
        with PushMultipartParser(boundary, max_segment_count=PARTS_MAX, header_charset="latin-1") as parser:
            async for chunk in iter_body(receive):
                received += len(chunk)
                if received > request_bytes_max:
                    raise Problem(413.1, Message.TOO_LARGE.text)
                for event in parser.parse(chunk):
                    if isinstance(event, MultipartSegment):
                        parts.begin(event)
                    elif event:
                        parts.write(event)
    except MultipartError:
        raise Problem(400.2, Message.CUT_OFF.text) from None


async def iter_body(receive: Receive) -> AsyncIterator[bytes]:
    """Yield the chunks of a request's body. Raises ClientGoneError when the connection is lost."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        if body := message.get("body"):
            yield body
        if not message.get("more_body"):
            return


def clean_name(name: str) -> str:
    """Return a file or device name safe to keep: its last path component, without control characters.

    Names stay Unicode: `پایش.xml` is one. A name that vanishes becomes `unnamed`.
    """
    base = name.replace("\\", "/").rpartition("/")[2]
    visible = "".join(char for char in base if char.isprintable() or char == ZERO_WIDTH_NON_JOINER)
    return visible.strip()[:NAME_CHARS_MAX] if visible.strip(". ") else "unnamed"


def _boundary(scope: Scope) -> str:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    kind, options = parse_options_header(headers.get(b"content-type", b"").decode("latin-1"))
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise Problem(400.1, Message.NOT_A_SUBMISSION.text)
    return str(options["boundary"])


def _decoded(text: str) -> str:
    """Header text was read as Latin-1, so that no byte is refused; it is UTF-8."""
    text = text.encode("latin-1").decode("utf-8", "replace")
    for quoted, char in UNQUOTED.items():
        text = text.replace(quoted, char)
    return text
