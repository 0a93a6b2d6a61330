"""How a post makes itself known to its centre over the network, and what it says of anything else that answers there."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from server.node import Node
from server.problems import Problem
from server.relay.enrolling import (
    Answer,
    Confirmation,
    Enrolment,
    answer_to,
    check_url,
    proof_of_confirmation,
)
from server.store import posts
from server.store.engine import reading, writing

if TYPE_CHECKING:
    import httpx2

TIMEOUT_S = 60


def introduce(node: Node) -> None:
    """Tell the centre over the network that this post is there, unless it has said that it knows.

    Raises Problem 403.1, ConnectionError where it cannot be reached.
    """
    with reading(node.engine) as connection:
        centre = posts.find_centre(connection)
    if centre is None or not centre.secret or not centre.url:
        return
    confirmation = exchange(centre.url, answer_to(node, centre.secret))
    _check(confirmation, centre.secret, node.keys.public.hex())
    if (confirmation.origin, confirmation.key) != (centre.origin, centre.public_key.hex()):
        raise Problem(403.1, "Another server answers at the centre's address.")
    with writing(node.engine) as connection:
        posts.confirm_centre(connection)


def fetch_enrolment(node: Node, url: str, secret: str) -> Enrolment:
    """Return the enrolment with this secret as the centre at `url` confirms it.

    Raises Problem 400.1, 403.1, ConnectionError.
    """
    check_url(url)
    confirmation = exchange(url, answer_to(node, secret))
    _check(confirmation, secret, node.keys.public.hex())
    return Enrolment(confirmation.name, url, confirmation.origin, confirmation.key, secret)


def exchange(url: str, answer: Answer) -> Confirmation:
    """Send an answer to the centre. Raises Problem 403.1, ConnectionError."""
    import httpx2

    try:
        response = httpx2.post(
            f"{url.rstrip('/')}/v1/posts/answer",
            json=answer.as_dict(),
            timeout=TIMEOUT_S,
            follow_redirects=False,
        )
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ConnectionError(f"The centre cannot be reached ({type(error).__name__}).") from None
    if response.status_code in (403, 409) and (refusal := read_refusal(response)):
        raise Problem(403.1, f"The centre refuses this post. {refusal}")
    try:
        response.raise_for_status()
        return Confirmation.of(response.content)
    except (httpx2.HTTPStatusError, Problem):
        raise ConnectionError(tell_other(response)) from None


def read_refusal(response: httpx2.Response) -> str:
    """Return why a centre refused, "" when it is not a centre that answers."""
    try:
        return str(response.json()["detail"])
    except (ValueError, LookupError, TypeError):
        return ""


def tell_other(response: httpx2.Response) -> str:
    """Say what answers where the centre should, so that a sign-in page of the network or a wrong address is found."""
    where = f", sends to {_host_of(response.headers['Location'])}" if response.has_redirect_location else ""
    return (
        f"Something else answers at the centre's address ({response.status_code}{where}). Is the address right, does the "
        "network ask to sign in, does the centre run?"
    )


def _check(confirmation: Confirmation, secret: str, public: str) -> None:
    said = (public, confirmation.name, confirmation.origin, confirmation.key)
    if not hmac.compare_digest(confirmation.proof.encode(), proof_of_confirmation(secret, *said).encode()):
        raise Problem(
            403.1, "What answers at the centre's address is not the centre that wrote the enrolment."
        )


def _host_of(location: str) -> str:
    """The server alone: what follows may hold what is secret."""
    try:
        parts = urlsplit(location)
        return f"{parts.scheme}://{parts.hostname}" if parts.hostname else "another page"
    except ValueError:
        return "another page"
