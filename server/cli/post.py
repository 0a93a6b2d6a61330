"""`chapar post`: making this node a post, and the posts below it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.common import Data, Json, Url, base_url, opened, tell

if TYPE_CHECKING:
    from server.node import Node
    from server.relay.enrolling import Answer, Enrolment

app = typer.Typer(help="Posts, which relay to a centre.", no_args_is_help=True)

Forms = Annotated[
    list[str] | None, typer.Option("--form", help="A form it may have; all without. Repeatable.")
]
Crossings = Annotated[
    list[str] | None,
    typer.Option("--crossing", help="A crossing whose cases it gets; all without. Repeatable."),
]


@app.command("init")
def init(
    source: Annotated[
        Path | None, typer.Option("--from", help="The enrolment file that the centre wrote.")
    ] = None,
    centre: Annotated[str, typer.Option(help="The centre's address, instead of a file.")] = "",
    code: Annotated[str, typer.Option(help="The enrolment's secret, with --centre; asked for without.")] = "",
    answer: Annotated[
        Path | None, typer.Option("--answer", help="Where to write the answer for a centre out of reach.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Go on with the forms and records that are here already.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make this store a post of a centre. Its forms then come from there, and what it collects goes there."""
    from server.relay import enrolling, introducing
    from server.relay.enrolling import Enrolment

    if (source is None) == (not centre):
        raise typer.BadParameter("give either --from FILE or --centre URL")
    with opened(data, begins=True, as_post=True) as node:
        if source:
            enrolment = Enrolment.of(source.read_bytes())
        else:
            code = code or str(typer.prompt("The enrolment's code", hide_input=True))
            enrolment = introducing.fetch_enrolment(node, centre, code)
        answered = enrolling.become_post(node, enrolment, keep=keep)
        path, told = _hand_over(node, enrolment, answered, answer)
    result = {"name": enrolment.name, "centre": enrolment.origin, "answer": path and str(path)}
    tell(result, f"This is the post {enrolment.name}. {told}", as_json=as_json)


@app.command("enrol")
def enrol(
    name: Annotated[str, typer.Argument(help="What the post is called.")],
    out: Annotated[Path | None, typer.Option("--out", help="The enrolment file to write.")] = None,
    forms: Forms = None,
    crossings: Crossings = None,
    url: Url = "",
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Enrol a post: writes a file for `chapar post init --from`, and a code for `--centre`. Both open it: keep them safe."""
    from server.relay import enrolling

    path = out or Path(f"{name}.enrolment")
    path.touch(mode=0o600, exist_ok=False)  # first: one that is written nowhere must not replace another
    try:
        with opened(data, begins=True) as node:
            made = enrolling.enrol(node, name, url or base_url(data), forms, crossings)
        path.write_bytes(made.to_json())
    except BaseException:
        path.unlink()
        raise
    text = (
        f"{path} is for the post: chapar post init --from {path.name}\n"
        f"Or, where it reaches this server: chapar post init --centre {made.url} with the code {made.secret}"
    )
    tell({"name": name, "path": str(path), "url": made.url, "code": made.secret}, text, as_json=as_json)


@app.command("admit")
def admit(
    path: Annotated[Path, typer.Argument(help="The answer file that `chapar post init` wrote.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Take in the answer of a post that cannot reach this server itself."""
    from server.relay import enrolling
    from server.relay.enrolling import Answer

    with opened(data) as node:
        confirmed = enrolling.admit(node, Answer.of(path.read_bytes()))
    tell({"name": confirmed.name}, f"{confirmed.name}: known from now on.", as_json=as_json)


@app.command("list")
def list_posts(data: Data = None, as_json: Json = False) -> None:
    """List the posts below this server."""
    from server.relay import enrolling
    from server.store import posts
    from server.store.engine import reading

    with opened(data) as node, reading(node.engine) as connection:
        found = posts.list_posts(connection)
    lines = [
        f"{post.name}  {post.origin or 'has not answered yet'}{'  (revoked)' if post.revoked_at else ''}"
        for post in found
    ]
    result = {"posts": [enrolling.describe(post) for post in found]}
    tell(result, "\n".join(lines) or "No post is enrolled yet.", as_json=as_json)


@app.command("revoke")
def revoke(name: str, data: Data = None, as_json: Json = False) -> None:
    """Relay no more with a post; what it sent stays."""
    from server.relay import enrolling

    with opened(data) as node:
        enrolling.revoke(node, name)
    tell({"name": name, "revoked": True}, f"{name}: revoked", as_json=as_json)


@app.command("limit")
def limit(
    name: str, forms: Forms = None, crossings: Crossings = None, data: Data = None, as_json: Json = False
) -> None:
    """Say which forms and crossings a post may have from now on; all without options."""
    from server.relay import enrolling

    with opened(data) as node:
        post = enrolling.limit(node, name, forms, crossings)
    limits = [
        f"{what}: {'all' if names is None else ', '.join(sorted(names))}"
        for what, names in (("forms", post.forms), ("crossings", post.crossings))
    ]
    tell(enrolling.describe(post), f"{name}: {'; '.join(limits)}", as_json=as_json)


def _hand_over(
    node: Node, enrolment: Enrolment, answered: Answer, path: Path | None
) -> tuple[Path | None, str]:
    """Tell the centre, or write the answer for it; return where it was written, and what to do with it."""
    from server.relay import introducing

    if path is None and enrolment.url:
        try:
            introducing.introduce(node)
        except ConnectionError as error:
            told = f"{error} The centre is told at the first contact"
        else:
            return None, "The centre knows it."
    else:
        told = "The centre is told at the first contact"
    path = path or Path(f"{enrolment.name}.answer")
    path.write_bytes(answered.to_json())
    return path, f"{told}, or by this file, at the centre: chapar post admit {path.name}"
