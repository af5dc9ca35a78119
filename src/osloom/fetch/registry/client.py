"""A client for one registry: one pool of connections, retries, redirects, authorisation.

Redirects are followed by hand: credentials never go to another host, and nothing goes from TLS to
plain HTTP. Bodies come as they are sent, never unpacked: digests are of those bytes.
"""

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit

from osloom.base.errors import FetchError
from osloom.fetch.http import AddressError, Http, Response, SilentError, TransportError
from osloom.fetch.registry.authorize import Authorizer, refused
from osloom.fetch.registry.credentials import Keyring
from osloom.fetch.registry.messages import SMALL, Answer, Request, read, said
from osloom.fetch.registry.reference import DOCKER_HUB
from osloom.fetch.registry.trust import certificate_directories, given_authority
from osloom.fetch.retries import AGAIN, Retries, retry_after
from osloom.fetch.said import printable
from osloom.fetch.trust import is_loopback, make_context, private_authorities

_HUB = "registry-1.docker.io"
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5


class Client:
    """See the module. For any number of threads."""

    def __init__(self, host: str, *, insecure: bool = False, ca: Path | None = None) -> None:
        environment = dict(os.environ)
        self.host = host
        self.stopped = threading.Event()
        """Set when every thread is to give up; see `stop`."""
        self._server = _HUB if host == DOCKER_HUB else host
        self._directories = certificate_directories(host, environment)
        self._ca = given_authority(ca, environment)
        loopback = is_loopback(urlsplit(f"//{host}").hostname or "")
        trusts = self._ca is not None or bool(private_authorities(self._directories))
        # Without a private authority a registry on this machine speaks plain HTTP as a rule.
        self._plain_first = insecure or (loopback and not trusts)
        self._base = ""
        self._connecting = threading.Lock()
        self._http = Http(lambda: make_context(self._directories, self._ca))
        self._authorizer = Authorizer(host, Keyring(host, environment).find, insecure=insecure)

    def close(self) -> None:
        self._http.close()

    def stop(self) -> None:
        """Make every thread give up, those too that wait for the registry."""
        self.stopped.set()
        self._http.shut()

    def retries(self) -> Retries:
        return Retries(self.host, self.stopped)

    def ask(self, request: Request, *, limit: int = SMALL) -> Answer:
        """Send it, again if need be, and read at most `limit` bytes of the answer."""
        retries = self.retries()
        while True:
            with retries.transport(), self.stream(request) as answer:
                if answer.status not in AGAIN:
                    return read(answer, limit)
                retries.failed(
                    f"it answered with status {answer.status}", retry_after(answer.headers)
                )
            retries.wait()

    def ask_once(self, request: Request) -> Answer:
        """Send it a single time. Raises TransportError."""
        with self.stream(request) as answer:
            return read(answer, SMALL)

    @contextlib.contextmanager
    def stream(self, request: Request) -> Iterator[Response]:
        """Send it once; the answer's body is not read yet.

        Raises TransportError, and FetchError for what no other try would mend.
        """
        self._connect()
        answer = self._authorized(request)
        try:
            yield answer
        finally:
            answer.close()

    def denied(self, answer: Answer, scopes: Sequence[str], doing: str) -> FetchError:
        """The error for an answer that is not the one that was hoped for."""
        if answer.status == 401:
            return refused(self.host, self._authorizer.credentials_of(scopes), answer.status)
        text = said(answer.body)
        return FetchError(
            f"cannot {doing}: {self.host} answered with status {answer.status}"
            + (f": {text}" if text else ""),
            hint="ask whoever runs the registry for the right to do it"
            if answer.status == 403
            else None,
        )

    def _authorized(self, request: Request) -> Response:
        url = urljoin(self._base + "/", request.url)
        refused_once = False
        for _ in range(_MOST_REDIRECTS + 2):
            self._check_target(url)
            headers = dict(request.headers)
            is_own = _origin(url) == _origin(self._base)
            if is_own:
                header = self._authorizer.header(request.scopes, self._ask_token)
                headers |= {"Authorization": header} if header else {}
            answer = self._send(request, url, headers)
            if answer.status == 401 and is_own and not refused_once:
                refused_once = True
                answer.close()
                self._authorizer.learn(answer.headers.get_all("WWW-Authenticate", []))
                self._authorizer.forget(request.scopes)
                continue
            place = answer.headers.get("Location")
            if place is None or not _is_followed(request.method, answer.status):
                return answer
            answer.close()
            url = urljoin(url, place)
        raise FetchError(f"cannot use {self.host}: it sends from one place to the next without end")

    def _send(self, request: Request, url: str, headers: Mapping[str, str]) -> Response:
        content = request.content() if callable(request.content) else request.content
        try:
            return self._http.send(
                request.method, url, headers=headers, content=content, patience=request.patience
            )
        except AddressError as error:
            raise FetchError(f"cannot use {self.host}: it refers to `{printable(url)}`") from error

    def _connect(self) -> None:
        """Find out how the registry is spoken to, and what it wants to see, once."""
        with self._connecting:
            retries = self.retries()
            while not self._base:
                with retries.transport():
                    self._find_base(retries)
                if not self._base:
                    retries.wait()

    def _find_base(self, retries: Retries) -> None:
        """Nothing secret is in the question, distribution-spec, Determining Support."""
        bases = [f"http://{self._server}"] if self._plain_first else []
        for base in [*bases, f"https://{self._server}"]:
            try:
                answer = self._send(Request(method="GET", url=""), f"{base}/v2/", {})
                answer.close()
            except TransportError as error:
                if base in bases and not isinstance(error, SilentError):
                    continue
                raise
            if answer.status in AGAIN:
                retries.failed(
                    f"it answered with status {answer.status}", retry_after(answer.headers)
                )
                return
            # What a TLS server says to plain HTTP.
            if answer.status == 400 and base in bases:
                continue
            if answer.status == 401:
                self._authorizer.learn(answer.headers.get_all("WWW-Authenticate", []))
            self._base = base
            return

    def _check_target(self, url: str) -> None:
        """Nothing goes from TLS to plain HTTP, or to an address with a name and password in it."""
        parts = _split(url, self.host)
        schemes = ("https", "http") if self._base.startswith("http:") else ("https",)
        if parts.scheme not in schemes or not parts.hostname or parts.username is not None:
            raise FetchError(
                f"cannot use {self.host}: it refers to `{printable(url)}`",
                hint="a registry behind a proxy has to know its own address: "
                "it must not lead from TLS to plain HTTP",
            )

    def _ask_token(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        form: Sequence[tuple[str, str]],
    ) -> tuple[int, bytes]:
        """Ask a token server; where it leads to is not followed."""
        text = urlencode(form)
        if method == "GET":
            url += ("&" if "?" in url else "?") + text
        else:
            headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        content = text.encode() if method == "POST" else None
        request = Request(method=method, url=url, headers=headers, content=content)
        retries = Retries(urlsplit(url).netloc, self.stopped)
        while True:
            with retries.transport():
                answer = self._send(request, url, headers)
                with contextlib.closing(answer):
                    if answer.status not in AGAIN:
                        found = read(answer, SMALL)
                        return found.status, found.body
                    retries.failed(
                        f"it answered with status {answer.status}", retry_after(answer.headers)
                    )
            retries.wait()


def _split(url: str, host: str) -> SplitResult:
    """Raises FetchError for an address that is none: a server may say anything."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise FetchError(f"cannot use {host}: it refers to `{printable(url)}`") from error
    return parts


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    port = parts.port or {"https": 443}.get(parts.scheme, 80)
    return parts.scheme, (parts.hostname or "").lower(), port


def _is_followed(method: str, status: int) -> bool:
    return status in (307, 308) or (status in _REDIRECTS and method in ("GET", "HEAD"))
