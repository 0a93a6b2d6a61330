"""`chapar user` and `chapar app-user`: people's and tablets' accounts."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from server.cli.common import Data, Json, Png, Project, Url, base_url, opened, settings, show_code, tell
from server.permissions import Role

users = typer.Typer(help="People's accounts.", no_args_is_help=True)
app_users = typer.Typer(help="Tablets' accounts.", no_args_is_help=True)

PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


@users.command("create")
def create_user(
    email: str,
    role: Annotated[Role, typer.Option(help="What the user is.")] = Role.COORDINATOR,
    password_stdin: PasswordStdin = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Add a user."""
    from sqlalchemy.exc import IntegrityError

    from server.auth import hash_password
    from server.problems import Problem
    from server.store import accounts
    from server.store.engine import writing

    hashed = hash_password(_read_password(password_stdin))
    with opened(data, begins=True) as node:
        try:
            with writing(node.engine) as connection:
                user_id = accounts.add_user(connection, email, hashed, role, one_time=False)
        except IntegrityError:
            raise Problem(409.3, f"There is a user {email.casefold()} already.") from None
    tell({"id": user_id, "email": email.casefold(), "role": role}, f"{email}: {role}", as_json=as_json)


@users.command("password")
def set_password(
    email: str, password_stdin: PasswordStdin = False, data: Data = None, as_json: Json = False
) -> None:
    """Set a user's password, when it was lost; ends all of the user's sessions."""
    from server.auth import hash_password
    from server.problems import Problem
    from server.store import accounts
    from server.store.engine import writing

    hashed = hash_password(_read_password(password_stdin))
    with opened(data) as node, writing(node.engine) as connection:
        user = accounts.find_user(connection, email)
        if user is None:
            raise Problem(404.1, f"There is no user {email}.")
        accounts.set_password(connection, user.id, hashed)
    tell({"id": user.id, "email": user.email}, f"{user.email}: password set", as_json=as_json)


@app_users.command("create")
def create_app_user(
    name: str,
    url: Url = "",
    png: Png = None,
    post: Annotated[
        str, typer.Option("--post", help="The post whose tablet it is; --url is the post's address then.")
    ] = "",
    data: Data = None,
    project: Project = 1,
    as_json: Json = False,
) -> None:
    """Enrol a tablet: prints its server URL and the QR code for ODK Collect, and writes the code as PNG."""
    from server import enrolment

    with opened(data, begins=True) as node:
        made = enrolment.create_app_user(node, project, name, post)
        server_url = enrolment.server_url(url or base_url(data), project, made.token)
    path = png or settings(data).data / "enrolment" / f"{made.id}.png"
    show_code(enrolment.collect_settings(server_url, name), path, as_json=as_json)
    result = {
        "id": made.id,
        "name": name,
        "server_url": server_url,
        "token": made.token,
        "username": made.username,
        "password": made.password,
        "png": str(path),
    }
    text = (
        f"In ODK Collect: Add project, Scan QR code (above, or {path}).\n"
        f"Or by hand: {server_url}\n"
        f"Or {server_url.partition('/key/')[0]}/projects/{project} "
        f"with user name {made.username} and password {made.password}\n"
        "These secrets are shown only now."
    )
    tell(result, text, as_json=as_json)


@app_users.command("list")
def list_app_users(data: Data = None, project: Project = 1, as_json: Json = False) -> None:
    """List the tablets' accounts."""
    from server.store import accounts
    from server.store.engine import reading

    with opened(data) as node, reading(node.engine) as connection:
        found = accounts.list_app_users(connection, project)
    rows = [{"id": one.id, "name": one.name, "revoked": one.revoked} for one in found]
    lines = [f"{row['id']}  {row['name']}{'  (withdrawn)' if row['revoked'] else ''}" for row in rows]
    tell({"app_users": rows}, "\n".join(lines) or "No tablet is enrolled yet.", as_json=as_json)


@app_users.command("revoke")
def revoke_app_user(app_user_id: int, data: Data = None, project: Project = 1, as_json: Json = False) -> None:
    """Withdraw a tablet's access; what it sent stays."""
    from server import enrolment
    from server.problems import Problem
    from server.store import accounts
    from server.store.engine import reading

    with opened(data) as node:
        with reading(node.engine) as connection:
            known = {one.id for one in accounts.list_app_users(connection, project)}
        if app_user_id not in known:
            raise Problem(404.1, f"There is no app user {app_user_id} in project {project}.")
        enrolment.revoke_app_user(node, project, app_user_id)
    tell({"id": app_user_id, "revoked": True}, f"app user {app_user_id}: withdrawn", as_json=as_json)


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
