"""What does not fit a small frame: it goes whole and is told; what is damaged goes as a header, in bundles as well."""

from __future__ import annotations

import pytest
from conftest import serving
from relaying import collect, enrolled, has_record, new_node
from sqlalchemy import update
from test_metrics import read as read_figures
from test_relay_bundles import acquainted, carry
from test_relay_sessions import centre, post

from server.metrics import Metrics
from server.relay.client import relay
from server.relay.status import describe
from server.store.engine import reading, writing
from server.store.journal import head_position
from server.store.tables import journal
from sync import outline

__all__ = ["centre", "new_node", "post"]


def inexact_at(node):
    with reading(node.engine) as connection:
        found = describe(connection)
    return [one["inexact"] for one in [found["centre"], *found["posts"]] if one]


def newest(node):
    with reading(node.engine) as connection:
        return head_position(connection)


@pytest.mark.parametrize("by", ["network", "bundle"])
def test_a_frame_that_does_not_read_back_exactly_goes_whole_and_is_counted(
    centre, post, tmp_path, monkeypatch, caplog, by
):
    with serving(centre) as url:
        enrolled(centre, post, url)
        relay(post)
        collect(post, "uuid:1")
        assert inexact_at(post) == [0]
        monkeypatch.setattr(outline, "MARKS_MAX", 3)
        if by == "network":
            relay(post)
        else:
            carry(post, centre, tmp_path / "up.bundle")
    assert has_record(centre, "uuid:1")
    assert inexact_at(post) == [1]
    assert inexact_at(centre) == [0]
    assert "did not read back exactly" in caplog.text
    assert "uuid:1" not in caplog.text
    figures = read_figures(Metrics(post).exposition().decode())
    assert figures["chapar_relay_inexact_frames", "north"] == 1


@pytest.mark.parametrize("column", ["body", "detail"])
def test_a_damaged_record_keeps_no_bundle_from_being_written(centre, post, tmp_path, column):
    acquainted(centre, post)
    collect(post, "uuid:1")
    position = newest(post)
    collect(post, "uuid:2")
    with writing(post.engine) as connection:
        damage = (
            update(journal).where(journal.c.position == position).values(codec=0, **{column: b"{damaged"})
        )
        connection.execute(damage)
    carry(post, centre, tmp_path / "up.bundle")
    assert has_record(centre, "uuid:2")
    assert not has_record(centre, "uuid:1")
