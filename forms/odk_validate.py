"""ODK Validate, a program in Java that comes with pyxform: what Collect's own engine says of a form.

Run here and not by pyxform, which lets it take a hundred seconds and a quarter of the machine's memory.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

SECONDS_MAX = 20
JAVA = (
    "java",
    "-Djava.awt.headless=true",
    "-Xmx512m",
    "-XX:CompressedClassSpaceSize=64m",  # a gigabyte otherwise: more than `server.compiling` leaves
    "-XX:ReservedCodeCacheSize=64m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-jar",
)


class Refused(Exception):
    """ODK Validate does not accept the form; the text is its own."""


def validate(xform: bytes) -> str:
    """Return what ODK Validate remarks about a form that it accepts, "" for nothing.

    Raises Refused; OSError when Java is missing, TimeoutError when it takes more than 20 seconds.
    """
    from pyxform.validators.error_cleaner import ErrorCleaner
    from pyxform.validators.odk_validate import ODK_VALIDATE_PATH

    with TemporaryDirectory() as folder:
        path = Path(folder, "form.xml")
        path.write_bytes(xform)
        command = [*JAVA, ODK_VALIDATE_PATH, str(path)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS_MAX, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            raise TimeoutError("ODK Validate") from None
    said = done.stderr.decode(errors="replace")
    if done.returncode < 0 or "initialization of VM" in done.stdout.decode(errors="replace") + said:
        raise OSError("Java")
    if done.returncode:
        raise Refused(ErrorCleaner.odk_validate(said))
    return said
