"""Proxies as the environment names them: `http_proxy`, `https_proxy`, `all_proxy`, `no_proxy`."""

import os
from urllib.parse import urlsplit

from osloom.base.addresses import without_login
from osloom.base.errors import FetchError
from osloom.fetch.http import Server
from osloom.fetch.trust import is_loopback


def find_proxy(server: Server) -> str | None:
    """The address of the proxy for a server: none where that is this machine, to which no proxy
    leads back. Raises FetchError for one that cannot be used."""
    if is_loopback(server.host) or not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    # Loading it takes longer than a request.
    from urllib import request

    known = request.getproxies_environment()
    found = known.get(server.scheme) or known.get("all")
    host = f"{server.host}:{server.port}"
    if not found or request.proxy_bypass_environment(host, known):  # type: ignore[attr-defined]
        return None
    address = found if "://" in found else f"http://{found}"
    try:
        parts = urlsplit(address)
        is_good = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good:
        raise FetchError(
            f"cannot use the proxy {without_login(address)} for {server.host}: it is no `http://` address",
            hint=f"correct {server.scheme}_proxy in the environment, or name the host in no_proxy",
        )
    return address
