"""REST: how the relay stands. Posts and their centre speak at the same address, through `server.relay.door`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from server.api.deps import ActorDep, NodeDep
from server.permissions import Action, require
from server.relay.status import describe
from server.store.engine import reading

router = APIRouter(prefix="/relay", tags=["relay"])


@router.get("")
def relay_status(node: NodeDep, actor: ActorDep) -> dict[str, Any]:
    """Say of each node that this one relays with when it was met, what waits, and what is wrong."""
    require(actor, Action.MANAGE_POSTS)
    with reading(node.engine) as connection:
        return describe(connection)
