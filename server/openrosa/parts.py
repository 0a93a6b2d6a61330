"""The parts of a submission, streamed: each to an upload, which stays in memory while it is small.

Names come as raw UTF-8 with only `"`, CR and LF percent-encoded (okhttp's MultipartBody); a part without file name
is named by its part name.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from starlette.types import Receive, Scope

from server.openrosa.messages import Message
from server.problems import Problem
from server.store.uploads import Upload

XML_PART = "xml_submission_file"
INCOMPLETE_PART = "*isIncomplete*"
FILES_MAX = 300
"""Collect splits a submission after 101 files (OpenRosaServerInstanceUploader)."""
NAME_CHARS_MAX = 255
MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,100}", re.ASCII)
EXTENDED_NAME = re.compile(
    r";\s*filename\*\s*=\s*\"?(?P<charset>[\w-]*)'[\w-]*'(?P<name>[^\s;\"]*)", re.ASCII | re.IGNORECASE
)
"""As some libraries write a name that is not ASCII."""
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
    """What has arrived. xml: None until its part begins."""

    open_upload: Callable[[], Upload]
    open_media: Callable[[], Upload]
    xml: Upload | None = None
    files: list[FilePart] = field(default_factory=list)
    target: Upload | None = None

    def begin(self, segment: MultipartSegment) -> None:
        """Take the headers of the next part.

        Raises Problem 400.1 for a second record, which would not be kept, and 413.1 for too many files.
        """
        name = _decoded(segment.name or "")
        if name == INCOMPLETE_PART:
            self.target = None
            return
        if name == XML_PART and self.xml is not None:
            raise Problem(400.1, Message.TWO_RECORDS.text)
        if len(self.files) >= FILES_MAX:
            raise Problem(413.1, Message.TOO_MANY_FILES.text)
        if name == XML_PART:
            self.target = self.xml = self.open_upload()
        else:
            self.target = self.open_media()
            file_name = clean_name(_file_name(segment) or name)
            self.files.append(FilePart(file_name, _media_type(segment.content_type or ""), self.target))

    def write(self, chunk: bytes | bytearray) -> None:
        """Take bytes of the current part."""
        if self.target is not None:
            self.target.write(chunk)

    def close(self) -> None:
        """Drop what was spooled."""
        for part in self.files:
            part.upload.close()
        if self.xml:
            self.xml.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def read_parts(scope: Scope, body: AsyncIterator[bytes], parts: Parts, request_bytes_max: int) -> None:
    """Read the whole body into `parts`.

    Raises Problem 400.1 (no multipart, one that cannot be read, or two records), 400.2 (it ends before its last boundary), 413.1 (too large, or
    too many files), and ClientGoneError when the connection is lost: a truncated body must never pass for a whole one.
    """
    boundary = _boundary(scope)
    received = 0
    parser = PushMultipartParser(boundary, header_charset="latin-1")
    try:
        async for chunk in body:
            received += len(chunk)
            if received > request_bytes_max:
                raise Problem(413.1, Message.TOO_LARGE.text)
            for event in parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    parts.begin(event)
                elif event:
                    parts.write(event)
    except MultipartError:
        raise Problem(400.1, Message.MALFORMED.text) from None
    try:
        parser.close()
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


def _file_name(segment: MultipartSegment) -> str:
    """The file's name; the extended one where there is one. Source: RFC 6266, 4.3; RFC 8187."""
    disposition = next((value for name, value in segment.headerlist if name == "Content-Disposition"), "")
    if "*" in disposition and (extended := EXTENDED_NAME.search(disposition)):
        charset = "latin-1" if extended["charset"].lower() == "iso-8859-1" else "utf-8"
        return unquote(extended["name"], charset)
    return _decoded(segment.filename or "")


def _media_type(header: str) -> str:
    kind = header.partition(";")[0].strip()
    return kind if MEDIA_TYPE.fullmatch(kind) else "application/octet-stream"


def _decoded(text: str) -> str:
    """Header text was read as Latin-1, so that no byte is refused; it is UTF-8."""
    text = text.encode("latin-1").decode("utf-8", "replace")
    for quoted, char in UNQUOTED.items():
        text = text.replace(quoted, char)
    return text
