"""What passes over the wire for the same number of records: from tablets one by one, and from a post by relay.

Real processes, all bytes that TCP carries both ways counted by what stands between them.
"""

from __future__ import annotations

import http.client
import random
import subprocess
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from benchmarks.meeting import FORM, collect, pair
from benchmarks.records import facts_of_records, filled
from benchmarks.server import CHAPAR, BenchServer
from tests.badlink import BadLink

RECORDS = 400
AGENT = "org.odk.collect.android/v2025.3.2 Dalvik/2.1.0 (Linux; U; Android 14; SM-T225 Build/UP1A.231005.007)"


def main() -> None:
    """Print the table."""
    with TemporaryDirectory() as folder, BadLink(0) as link:
        with pair(Path(folder), link.url) as (_, post):
            collect(post, facts_of_records(filled(FORM, RECORDS)[0]))
        with BenchServer(Path(folder) / "centre") as centre:
            link.port = centre.port
            command = (CHAPAR, "relay", "now", "--data", str(Path(folder) / "post"))
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            relayed = link.up_bytes + link.down_bytes
            link.up_bytes = link.down_bytes = 0
            send(link.url, centre.path, filled(FORM, RECORDS, seed=7)[0])
            sent = link.up_bytes + link.down_bytes
    print(f"| {RECORDS} records, bytes each over TCP, both ways | |\n|---|---|")
    print(f"| ODK Collect, keep-alive | {sent / RECORDS:,.0f} |")
    print(f"| relay | {relayed / RECORDS:,.0f} |")
    print(f"| times fewer | {sent / relayed:.1f} |")


def send(url: str, path: str, xmls: Sequence[bytes]) -> None:
    """Send records as ODK Collect does over one connection: HEAD, then POST with parts that have their lengths."""
    chance = random.Random(3)
    query = "deviceID=collect%3A" + "".join(chance.choices("abcdefghijkmnopqrstuvwxyzABCDEF0123456789", k=16))
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    for number, xml in enumerate(xmls):
        boundary = f"{chance.getrandbits(128):032x}"
        boundary = "-".join((boundary[:8], boundary[8:12], boundary[12:16], boundary[16:20], boundary[20:]))
        name = f"Flow monitoring registry_2026-11-22_08-{number // 60 % 60:02}-{number % 60:02}.xml"
        body = (
            (
                f'--{boundary}\r\nContent-Disposition: form-data; name="xml_submission_file"; filename="{name}"\r\n'
                f"Content-Type: text/xml; charset=utf-8\r\n\r\n"
            ).encode()
            + xml
            + f"\r\n--{boundary}--\r\n".encode()
        )
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Content-Length": str(len(body))}
        for method, content, more in (("HEAD", None, {}), ("POST", body, kind)):
            try:
                _ask(connection, method, f"{path}?{query}", content, more)
            except ConnectionError:  # a busy server hung up between two requests: Collect connects again, too
                connection.close()
                _ask(connection, method, f"{path}?{query}", content, more)
    connection.close()


def _ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    content: bytes | None,
    more: Mapping[str, str],
) -> None:
    connection.putrequest(method, path, skip_accept_encoding=True)
    common = {
        "X-OpenRosa-Version": "1.0",
        "Date": formatdate(usegmt=True),
        "User-Agent": AGENT,
        "Connection": "Keep-Alive",
        "Accept-Encoding": "gzip",
    }
    for header, text in (common | dict(more)).items():
        connection.putheader(header, text)
    connection.endheaders(content)
    answer = connection.getresponse()
    answer.read()
    if answer.status not in {201, 204}:
        raise RuntimeError(f"the server answers {answer.status}")


if __name__ == "__main__":
    main()
