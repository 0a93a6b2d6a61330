"""The files for Docker say what the code says; `.ci/image` replays the Dockerfile itself."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from server.settings import Settings

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SETTINGS = {f"CHAPAR_{name.upper()}" for name in Settings.__dataclass_fields__}


def test_the_settings_in_compose_and_dockerfile_exist():
    named = re.findall(r"CHAPAR_\w+", (ROOT / "compose.yaml").read_text() + (ROOT / "Dockerfile").read_text())
    assert set(named) <= SETTINGS
    assert COMPOSE["services"]["chapar"]["environment"].keys() & SETTINGS


def test_images_are_pinned_to_a_version():
    images = [service["image"] for service in COMPOSE["services"].values() if "image" in service]
    assert len(images) == 2
    assert all(re.search(r":v?\d+\.\d+", image) for image in images)


def test_every_secret_comes_from_outside_and_is_explained():
    text = (ROOT / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+):\?\}", text))
    assert asked == set(re.findall(r'echo "(\w+)=', text))


def test_volumes_of_compose_are_where_the_images_keep_their_data():
    mounts = {name: service["volumes"] for name, service in COMPOSE["services"].items()}
    assert mounts["chapar"] == ["data:/data"]
    assert "VOLUME /data" in (ROOT / "Dockerfile").read_text()
    assert COMPOSE["volumes"].keys() == {mount.split(":")[0] for some in mounts.values() for mount in some}
