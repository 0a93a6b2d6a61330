"""`chapar relay`: meeting the centre now, and how the relay stands."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from server.cli.common import Data, Json, Project, opened, tell

if TYPE_CHECKING:
    from server.relay.session import Session

HEADS = {
    "unsigned": "signs the head of its log no more: does an older software run there, or somebody else's?",
    "false": "sent the head of a log that is not signed by who wrote it: find out what runs there",
}

app = typer.Typer(help="The relay between posts and their centre.", no_args_is_help=True)


@app.command("now")
def now(data: Data = None, as_json: Json = False) -> None:
    """Meet the centre now, instead of waiting until the server does; safe beside it."""
    from server.cli.bars import bars
    from server.publishing import release_waiting
    from server.relay.client import relay
    from server.relay.status import describe
    from server.store.engine import reading
    from server.sweeping import sweep

    with opened(data, as_post=True) as node:
        with reading(node.engine) as connection:
            centre = describe(connection)["centre"]
        left = centre["recordsWaiting"] if centre else 0
        with bars() as report:
            advance = report("records to the centre", left)

            def show(session: Session) -> None:
                nonlocal left
                advance(left - session.waiting)
                left = session.waiting

            met = relay(node, show)
        release_waiting(node)
        sweep(node.engine, node.blobs)  # what it erased is gone also where no server runs
    text = (
        f"in step with the centre: {met.taken} new entries here, {met.sent_bytes:,} bytes sent, "
        f"{met.received_bytes:,} received, {met.exchanges} exchanges"
    )
    tell(asdict(met), text, as_json=as_json)


@app.command("audit")
def audit(data: Data = None, as_json: Json = False) -> None:
    """Read the journal through, hold a post's logs against the centre's, and mend what is damaged or missing."""
    from server.relay.auditing import read_through
    from server.relay.client import relay
    from server.relay.status import describe
    from server.store import posts
    from server.store.engine import reading

    with opened(data, as_post=True) as node:
        found = read_through(node.engine)
        with reading(node.engine) as connection:
            centre = posts.find_centre(connection)
        met = relay(node, audit=True) if centre and centre.url else None
        with reading(node.engine) as connection:
            done = describe(connection)["audit"]
    lines = [f"{done['entries']:,} entries read, {found} found damaged, {done['lost']} without payload now"]
    if met:
        lines.append(
            f"compared with the centre: {met.differing} ranges were wanting, {met.mended} payloads put back"
        )
    result = done | {"foundDamaged": found, "compared": met and asdict(met)}
    tell(result, "\n".join(lines), as_json=as_json)


@app.command("purge")
def purge(
    form: Annotated[
        str, typer.Option("--form", help="Set this form's policy, with --after or --never.")
    ] = "",
    after: Annotated[
        int | None,
        typer.Option("--after", min=1, help="Days that the centre must have a record before it goes."),
    ] = None,
    never: Annotated[
        bool, typer.Option("--never", help="Keep the form's records, as without a policy.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would go, and drop nothing.")] = False,
    project: Project = 1,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Drop at a post what the centre has had for so many days, of the forms that have a policy; or set one."""
    import time

    from server.relay import purging
    from server.store import purges
    from server.store.engine import reading, writing

    if bool(form) != (after is not None or never) or (after is not None and never):
        raise typer.BadParameter("give --form with either --after DAYS or --never, or neither")
    is_told = dry_run or bool(form)
    with opened(data, as_post=True) as node:
        if form:
            with writing(node.engine) as connection:
                purges.set_policy(connection, (project, form), after)
        node.catch_up()
        done = purging.purge(node, time.time_ns() // 1_000_000, dry_run=is_told)
        with reading(node.engine) as connection:
            policies = purges.list_policies(connection)
    lines = [f"{form_id}: after {days} days" for (_, form_id), days in sorted(policies.items())]
    went = f"went, and {done.files:,} files" if not is_told else "would go now"
    lines.append(f"{done.records:,} records {went}")
    if done.waiting:
        lines.append(f"{done.waiting:,} wait until the centre says that it has their files")
    listed = [{"project": one[0], "form": one[1], "afterDays": days} for one, days in policies.items()]
    result = asdict(done) | {"policies": listed, "dropped": not is_told}
    tell(
        result, "\n".join(lines) if policies else "No form has a policy: nothing is dropped.", as_json=as_json
    )


@app.command("status")
def status(data: Data = None, as_json: Json = False) -> None:
    """Say of each node that this one relays with when it was met, what waits, and what is wrong."""
    from server.relay.status import describe
    from server.store.engine import reading

    with opened(data, as_post=True) as node, reading(node.engine) as connection:
        found = describe(connection)
    lines = [_line("centre", found["centre"])] if found["centre"] else []
    lines += [_line("post", one) for one in found["posts"]]
    lines += [
        f"ALARM  the store {one['origin']} was copied or set back, and went on twice from entry {one['seq']} "
        f"({one['noticedAt']}): both are kept; see docs/relay.md"
        for one in found["forks"]
    ]
    lines += [
        f"ALARM  the post {one['name']} sent {one['refused']} entries that it may not write: they were refused"
        for one in found["posts"]
        if one["refused"]
    ]
    lines += [
        f"ALARM  the post {one['name']} gave back {one['unproven']} entries that this server is said to have lost, and proved "
        "them by nothing: look through forms and app users"
        for one in found["posts"]
        if one["unproven"]
    ]
    nodes = [*([found["centre"]] if found["centre"] else []), *found["posts"]]
    lines += [f"ALARM  {one['name']} {HEADS[one['alarm']]}" for one in nodes if one["alarm"]]
    lines += [
        f"{one['name']}: {one['inexact']} frames for it did not read back exactly and went whole: all arrived, tell the makers"
        for one in nodes
        if one["inexact"]
    ]
    if found["centre"] and found["centre"]["unsendable"]:
        lines.append(
            f"ALARM  the centre asks for {found['centre']['unsendable']} entries or more that were purged here and cannot be "
            "sent again: restore a newer backup of the centre"
        )
    if found["recordsPurged"]:
        lines.append(f"{found['recordsPurged']:,} records are at the centre only")
    lines += _audited(found["audit"])
    if found["filesWanted"]:
        lines.append(f"{found['filesWanted']} files are still on their way")
    tell(found, "\n".join(lines) or "This server relays with nobody.", as_json=as_json)


@app.command("where")
def where(
    form_id: str,
    instance_id: Annotated[str, typer.Argument(help="The record's instanceID, or that of an edit.")],
    project: Project = 1,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Say where a record is: who received it from a tablet, when, and since when it is at the centre."""
    from server.problems import Problem
    from server.relay import places
    from server.store import purges, submissions
    from server.store.engine import reading

    with opened(data, as_post=True) as node:
        node.catch_up()
        with reading(node.engine) as connection:
            found = submissions.find_submission(connection, project, form_id, instance_id)
            if found is None and purges.is_purged(connection, (project, form_id), instance_id):
                tell({"receipts": [], "purged": True}, "It is at the centre only.", as_json=as_json)
                return
            if found is None:
                raise Problem(
                    404.1, "There is no such record here: it is still on the tablet, or at another post."
                )
            receipts = places.describe(connection, (project, form_id), found.instance_id)
    lines = [
        f"{one['instanceId']}: received {one['receivedAt']} by {one['receivedBy'] or 'this server'}, "
        + (f"at the centre since {one['atCentreSince']}" if one["atCentreSince"] else "not yet at the centre")
        for one in receipts
    ]
    tell({"receipts": receipts}, "\n".join(lines), as_json=as_json)


def _audited(done: dict[str, Any]) -> list[str]:
    lines = []
    if done["lost"]:
        lines.append(f"ALARM  {done['lost']} entries are here without payload, and are asked for again")
    if done["damaged"] or done["differing"]:
        lines.append(
            f"audits found {done['damaged']} damaged payloads and {done['differing']} ranges with something missing; "
            f"{done['mended']} payloads were put back. Look after the disk."
        )
    return lines


def _line(role: str, one: dict[str, Any]) -> str:
    met = f"met {one['lastContact']}" if one["lastContact"] else "never met"
    parts = [f"{role} {one['name']}: {met}", f"{one['recordsWaiting']} records wait"]
    if abs(one["clockAheadS"]) >= 60:
        parts.append(f"its clock is {one['clockAheadS']:+,.0f} s off")
    parts.append(f"{one['receivedBytes']:,} bytes received, {one['sentBytes']:,} sent")
    return ", ".join([*parts, *filter(None, [one["error"]])])
