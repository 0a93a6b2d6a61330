"""ODK Collect's side of OpenRosa: the same requests with the same headers, in the same order.

Source: Collect's OkHttpOpenRosaServerClientProvider, OpenRosaClient, OpenRosaServerInstanceUploader; okhttp's
MultipartBody. Every GET is repeated with the ETag of the last answer; every URL carries the device.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import httpx2

from forms import xml
from server.demo.link import Fault, Link, LinkError
from server.demo.records import Finished

USER_AGENT = (
    "org.odk.collect.android/v2026.3.3 Dalvik/2.1.0 (Linux; U; Android 14; SM-T575 Build/UP1A.231005.007)"
)
XML_PART = "xml_submission_file"
BOUNDARY = "b1f0e2d3-5a77-4c1b-9a6e-6c4f7d0a2e11"
FILES_MAX = 100
HEAD_OK = 204
CONTENT_TYPES = {"jpg": "image/jpeg", "csv": "text/csv"}


@dataclass(frozen=True, slots=True)
class BlankForm:
    """One entry of the form list. md5: of the XForm's bytes. manifest_url: "" when the form reads no file."""

    form_id: str
    md5: str
    url: str
    manifest_url: str


@dataclass(frozen=True, slots=True)
class MediaFile:
    """One entry of a manifest."""

    name: str
    md5: str
    url: str


@dataclass(frozen=True, slots=True)
class Part:
    """One POST's worth of a revision: always the XML, and these files. incomplete: others follow."""

    names: tuple[str, ...]
    incomplete: bool


class Collect:
    """The app on one tablet. server_url: as its QR code sets it, with the token in the path."""

    def __init__(self, server_url: str, device_id: str, link: Link) -> None:
        self._server_url = server_url
        self._device_id = device_id
        self._link = link
        self._cache: dict[str, tuple[str, bytes]] = {}

    def list_forms(self) -> list[BlankForm]:
        """Return the server's form list."""
        root = xml.parse(self.get(f"{self._server_url}/formList"))
        return [
            BlankForm(
                entry.findtext("{*}formID", ""),
                entry.findtext("{*}hash", "").removeprefix("md5:"),
                entry.findtext("{*}downloadUrl", ""),
                entry.findtext("{*}manifestUrl", ""),
            )
            for entry in root.iterfind("{*}xform")
        ]

    def list_media(self, form: BlankForm) -> list[MediaFile]:
        """Return the form's manifest; empty when it has none."""
        if not form.manifest_url:
            return []
        root = xml.parse(self.get(form.manifest_url))
        return [
            MediaFile(
                entry.findtext("{*}filename", ""),
                entry.findtext("{*}hash", "").removeprefix("md5:"),
                entry.findtext("{*}downloadUrl", ""),
            )
            for entry in root.iterfind("{*}mediaFile")
        ]

    def get(self, url: str) -> bytes:
        """Return what is at the URL, from the cache when the server says that it has not changed."""
        return self.ask(url)[0]

    def ask(self, url: str) -> tuple[bytes, bool]:
        """Return what is at the URL and whether it came from the cache. Raises LinkError."""
        etag, content = self._cache.get(url, ("", b""))
        answer = self._link.send(self._request("GET", url, {"If-None-Match": etag} if etag else {}))
        if etag and answer.status_code == httpx2.codes.NOT_MODIFIED:
            return content, True
        if answer.status_code != httpx2.codes.OK or "x-openrosa-version" not in answer.headers:
            raise LinkError(f"GET was answered {answer.status_code}")
        self._cache[url] = (answer.headers.get("etag", ""), answer.content)
        return answer.content, False

    def ask_limit_bytes(self) -> int:
        """Ask, as before every instance, how much the server takes in one request."""
        answer = self._link.send(self._request("HEAD", f"{self._server_url}/submission", {}))
        if answer.status_code != HEAD_OK:
            raise LinkError(f"HEAD was answered {answer.status_code}")
        return int(answer.headers.get("x-openrosa-accept-content-length", "10000000"))

    def post(self, one: Finished, part: Part, fault: Fault) -> int:
        """Send one part of a revision; return the status. Raises LinkError."""
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        body = b"".join(_multipart(one, part))
        request = self._request("POST", f"{self._server_url}/submission", headers, body)
        return self._link.send(request, fault).status_code

    def _request(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None = None
    ) -> httpx2.Request:
        always = {
            "User-Agent": USER_AGENT,
            "X-OpenRosa-Version": "1.0",
            # Collect writes it on a 12-hour clock.
            "Date": datetime.now().astimezone().strftime("%a, %d %b %Y %I:%M:%S GMT"),
            "Accept-Encoding": "gzip",
        }
        mark = "&" if "?" in url else "?"
        located = f"{url}{mark}deviceID={quote(self._device_id, safe='')}"
        return httpx2.Request(method, located, headers=always | headers, content=body)


def parts(one: Finished, limit_bytes: int) -> list[Part]:
    """Return the posts that Collect makes of a revision: cut where the next file would pass the limit."""
    names = sorted(one.filled.files)
    found: list[Part] = []
    start, size = 0, len(one.filled.xml)
    for place, name in enumerate(names):
        size += len(one.filled.files[name])
        following = names[place + 1] if place + 1 < len(names) else None
        if following is None:
            continue
        if place + 1 - start > FILES_MAX or size + len(one.filled.files[following]) > limit_bytes:
            found.append(Part(tuple(names[start : place + 1]), incomplete=True))
            start, size = place + 1, len(one.filled.xml)
    return [*found, Part(tuple(names[start:]), incomplete=False)]


def new_device_id(chance: random.Random) -> str:
    """Return a device ID as Collect makes one."""
    return "collect:" + "".join(
        chance.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=16)
    )


def _multipart(one: Finished, part: Part) -> Iterator[bytes]:
    """Names are raw UTF-8, and parts carry no Content-Length."""
    instance_name = f"فرم_{one.filled.instance_id.removeprefix('uuid:')}.xml"
    yield _part_head(XML_PART, instance_name, "text/xml; charset=utf-8") + one.filled.xml + b"\r\n"
    for name in part.names:
        kind = CONTENT_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        yield _part_head(name, name, kind) + one.filled.files[name] + b"\r\n"
    if part.incomplete:
        yield f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="*isIncomplete*"\r\n\r\nyes\r\n'.encode()
    yield f"--{BOUNDARY}--\r\n".encode()


def _part_head(name: str, file_name: str, kind: str) -> bytes:
    disposition = f'form-data; name="{name}"; filename="{file_name}"'
    return f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\nContent-Type: {kind}\r\n\r\n".encode()
