"""Authorisation: names and passwords, and tokens from a token server.

https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/. Credentials go to the
registry, or to the token server that it names over a connection it was itself verified on; never
over plain HTTP, except to this machine or to a host that the user declared insecure.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from osloom.base.errors import FetchError
from osloom.fetch.registry.challenge import Challenge, parse_challenges
from osloom.fetch.registry.credentials import Credentials
from osloom.fetch.trust import is_loopback

_LIFETIME = 60
"""Seconds that a token is good for when its server does not say."""
_MARGIN = 10
"""Seconds before its end at which a token is no longer used."""


class Send(Protocol):
    """Sends a form to a token server; gives status and body."""

    def __call__(
        self,
        method: str,
        url: str,
        /,
        *,
        headers: Mapping[str, str],
        form: Sequence[tuple[str, str]],
    ) -> tuple[int, bytes]: ...


class _Answer(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""
    expires_in: float = _LIFETIME


class _Token(msgspec.Struct, frozen=True):
    text: str
    until: float
    """By the monotonic clock."""


class Authorizer:
    """What to say to one registry; learns from its challenges. For any number of threads."""

    def __init__(
        self, registry: str, find: Callable[[str], Credentials | None], *, insecure: bool
    ) -> None:
        """`find` gives the credentials for a repository."""
        self._registry = registry
        self._find = find
        self._insecure = insecure
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._challenge: Challenge | None = None
        self._tokens: dict[str, _Token] = {}

    def learn(self, headers: Sequence[str]) -> None:
        """Take in what a 401 said. Raises FetchError when it is nothing that osloom can answer."""
        challenges = {one.scheme: one for one in parse_challenges(headers)}
        found = challenges.get("bearer") or challenges.get("basic")
        if found is None:
            raise FetchError(
                f"cannot log in to {self._registry}: it wants "
                + (" or ".join(sorted(challenges)) or "credentials")
                + ", and osloom knows Basic and Bearer"
            )
        with self._guard:
            self._challenge = found

    def forget(self, scopes: Sequence[str]) -> None:
        """A token that was refused is not used again."""
        with self._guard:
            self._tokens.pop(" ".join(scopes), None)

    def credentials_of(self, scopes: Sequence[str]) -> Credentials | None:
        return self._find(_repository_of(scopes))

    def header(self, scopes: Sequence[str], send: Send) -> str | None:
        """The value of `Authorization` for a request; None while nothing has been asked for."""
        with self._guard:
            challenge = self._challenge
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            found = self.credentials_of(scopes)
            return found.basic if found and found.username else None
        return f"Bearer {self._token(challenge, scopes, send)}"

    def _token(self, challenge: Challenge, scopes: Sequence[str], send: Send) -> str:
        key = " ".join(scopes)
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            with self._guard:
                token = self._tokens.get(key)
            if token is None or token.until < time.monotonic():
                token = self._fetch_token(challenge, scopes, send)
                with self._guard:
                    self._tokens[key] = token
            return token.text

    def _fetch_token(self, challenge: Challenge, scopes: Sequence[str], send: Send) -> _Token:
        realm = self._realm(challenge)
        credentials = self.credentials_of(scopes)
        form = [("scope", scope) for scope in scopes]
        if service := challenge.parameters.get("service"):
            form.append(("service", service))
        if credentials is not None and credentials.identity_token:
            form = [("scope", " ".join(scopes)), *form[len(scopes) :]]
            form += [("grant_type", "refresh_token"), ("client_id", "osloom")]
            form += [("refresh_token", credentials.identity_token)]
            status, body = send("POST", realm, headers={}, form=form)
        else:
            headers = {"Authorization": credentials.basic} if credentials else {}
            status, body = send("GET", realm, headers=headers, form=form)
        if status != 200:
            raise refused(self._registry, credentials, status, "its token server")
        try:
            said = msgspec.json.decode(body, type=_Answer)
        except msgspec.DecodeError:
            said = _Answer()
        text = said.token or said.access_token
        # It becomes a header: nothing else than what a token may have in it, RFC 6750.
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise FetchError(f"cannot log in to {self._registry}: its token server gives no token")
        # A server may give tokens that last a day, or none that lasts as long as the margin.
        lasts = max(min(said.expires_in, 86400) - _MARGIN, 1)
        return _Token(text, time.monotonic() + lasts)

    def _realm(self, challenge: Challenge) -> str:
        realm = challenge.parameters.get("realm", "")
        parts = urlsplit(realm)
        host = parts.hostname or ""
        own = urlsplit(f"//{self._registry}").hostname
        plain = is_loopback(host) or (self._insecure and host == own)
        if not host or parts.scheme not in (("https", "http") if plain else ("https",)):
            raise FetchError(
                f"cannot log in to {self._registry}: its token server `{realm[:200]}` "
                + ("is not reached over TLS" if parts.scheme == "http" else "is no address")
            )
        return realm


def _repository_of(scopes: Sequence[str]) -> str:
    """`repository:team/app:pull` → `team/app`."""
    return scopes[0].split(":")[1] if scopes else ""


def refused(
    registry: str, credentials: Credentials | None, status: int, who: str = "it"
) -> FetchError:
    """What a 401 or 403 in the end means for the user."""
    if status not in (401, 403):
        return FetchError(f"cannot log in to {registry}: {who} answered with status {status}")
    if credentials is None:
        return FetchError(
            f"cannot log in to {registry}: {who} wants credentials, and there are none",
            hint=f"log in: `podman login {registry}` or `docker login {registry}`",
        )
    name = f"`{credentials.username}`" if credentials.username else "the identity token"
    return FetchError(
        f"cannot log in to {registry}: {who} refuses {name} of {credentials.source}",
        hint=f"log in again: `podman login {registry}` or `docker login {registry}`",
    )
