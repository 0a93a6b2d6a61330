"""The files that a form on disk reads: from beside it, or from its `media` folder."""

from __future__ import annotations

import mimetypes
from pathlib import Path


def find_media(form: Path) -> dict[str, bytes]:
    """Return every file beside a form or in its `media` folder by name; the folder wins. Raises OSError."""
    return {
        file.name: file.read_bytes()
        for folder in (form.parent, form.parent / "media")
        if folder.is_dir()
        for file in sorted(folder.iterdir())
        if file.is_file() and file != form and mimetypes.guess_type(file.name)[0] is not None
    }
