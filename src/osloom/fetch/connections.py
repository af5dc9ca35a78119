"""Connections to web servers of any kind: made, used again, through proxies."""

import functools
import os
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from osloom.base.errors import FetchError
from osloom.fetch.connection import (
    ConnectError,
    Connection,
    Response,
    SilenceError,
    TransportError,
    transport,
)

if TYPE_CHECKING:
    import ssl

_CONNECT = 15.0
"""Seconds, for a server that is silent; fewer where its answers have less time."""
_DEFAULTS = {"User-Agent": "osloom", "Accept": "*/*", "Accept-Encoding": "identity"}
_SPOKEN = "%/:=&?~#+!$,;'@()*[]"
"""What an address may have in it beside letters and digits, RFC 3986."""


class _Place(NamedTuple):
    scheme: str
    host: str
    port: int


class Connections:
    """See the module. For any number of threads.

    `context` gives what TLS trusts; it is asked once, where it is needed.
    """

    def __init__(self, context: "Callable[[], ssl.SSLContext]", *, proxies: bool) -> None:
        self._context = functools.cache(context)
        self._proxies = _proxies() if proxies else {}
        self._guard = threading.Lock()
        self._idle: dict[_Place, list[Connection]] = {}
        self._open: set[Connection] = set()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: Iterable[bytes],
        *,
        patience: float,
    ) -> Response:
        """Send a request; the answer's body is not read yet. `patience` is in seconds.

        Raises TransportError, and ValueError for an address that is none.
        """
        parts = urlsplit(url)
        place = _place(parts)
        proxy = self._proxy(place)
        given = {"Host": _host(place), **_DEFAULTS, **headers}
        target = _target(parts)
        if proxy is not None and place.scheme == "http":
            given |= _authorization(proxy)
            target = f"http://{given['Host']}{target}"
        connection = self._take(place) or self._connect(place, proxy, min(patience, _CONNECT))
        try:
            connection.stream.settimeout(patience)
            head = connection.ask(method, target, given, content)
        except BaseException:
            self._drop(connection)
            raise
        return Response(connection, head, url, lambda: self._give_back(place, connection))

    def stop(self) -> None:
        """Break every connection, those too on which a thread waits."""
        with self._guard:
            connections = list(self._open)
        for one in connections:
            one.shut()

    def close(self) -> None:
        with self._guard:
            connections = [one for idle in self._idle.values() for one in idle]
            self._idle.clear()
        for one in connections:
            self._drop(one)

    def _take(self, place: _Place) -> Connection | None:
        while True:
            with self._guard:
                idle = self._idle.get(place)
                if not idle:
                    return None
                connection = idle.pop()
            if connection.is_silent():
                return connection
            self._drop(connection)

    def _give_back(self, place: _Place, connection: Connection) -> None:
        if not connection.renew():
            self._drop(connection)
            return
        with self._guard:
            self._idle.setdefault(place, []).append(connection)

    def _drop(self, connection: Connection) -> None:
        with self._guard:
            self._open.discard(connection)
        connection.close()

    def _connect(self, place: _Place, proxy: SplitResult | None, patience: float) -> Connection:
        nearest = place if proxy is None else _place(proxy)
        context = self._context() if place.scheme == "https" else None
        try:
            with transport():
                stream = socket.create_connection((nearest.host, nearest.port), patience)
            connection = Connection(stream)
            self._add(connection)
            try:
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if context is None:
                    return connection
                if proxy is not None:
                    _tunnel(connection, place, proxy)
                return self._secured(connection, context, place.host)
            except BaseException:
                self._drop(connection)
                raise
        except SilenceError:
            raise
        except TransportError as error:
            raise ConnectError(str(error)) from error

    def _secured(self, connection: Connection, context: "ssl.SSLContext", host: str) -> Connection:
        with transport():
            stream = context.wrap_socket(connection.stream, server_hostname=host)
        secured = Connection(stream)
        self._add(secured)
        self._drop(connection)
        return secured

    def _add(self, connection: Connection) -> None:
        with self._guard:
            self._open.add(connection)

    def _proxy(self, place: _Place) -> SplitResult | None:
        found = self._proxies.get(place.scheme) or self._proxies.get("all")
        if found is None:
            return None
        from urllib.request import proxy_bypass

        if proxy_bypass(f"{place.host}:{place.port}"):
            return None
        proxy = urlsplit(found if "://" in found else f"http://{found}")
        if proxy.scheme != "http":
            raise FetchError(
                f"cannot use the proxy that the environment names with `{proxy.scheme}://`",
                hint="osloom speaks HTTP with proxies: `http://`",
            )
        return proxy


def _proxies() -> dict[str, str]:
    """Proxies that the environment names, by scheme."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return {}
    from urllib.request import getproxies

    return getproxies()


def _tunnel(connection: Connection, place: _Place, proxy: SplitResult) -> None:
    """Make the proxy pass everything on, RFC 9110 section 9.3.6."""
    host = _host(place) if place.port != 443 else f"{_host(place)}:443"
    headers = {"Host": host, "User-Agent": _DEFAULTS["User-Agent"], **_authorization(proxy)}
    head = connection.ask("CONNECT", host, headers, ())
    if not 200 <= head.status_code < 300:
        raise TransportError(f"the proxy answered with status {head.status_code}")


def _authorization(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    import base64
    from urllib.parse import unquote

    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def _place(parts: SplitResult) -> _Place:
    """Raises ValueError for a scheme, a host or a port that is none."""
    try:
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in ("http", "https"):
        raise ValueError(f"no address: {parts.geturl()!r}")
    return _Place(parts.scheme, host, port or (443 if parts.scheme == "https" else 80))


def _host(place: _Place) -> str:
    """As it is in an address, RFC 3986 section 3.2."""
    host = f"[{place.host}]" if ":" in place.host else place.host
    is_usual = place.port == (443 if place.scheme == "https" else 80)
    return host if is_usual else f"{host}:{place.port}"


def _target(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe=_SPOKEN)
    return f"{path}?{quote(parts.query, safe=_SPOKEN)}" if parts.query else path
