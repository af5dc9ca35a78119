"""Serve a directory over HTTP/1.1, for trials: what devices fetch, without a web server.

Files are sent by the kernel (sendfile(2)), in parts where clients ask for them. Nothing outside the
directory is reached, and nothing whose name begins with a dot.
"""

import contextlib
import errno
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from osloom.base.errors import Error
from osloom.run.http_handler import Listener, Pace, Served

_REFUSALS = {
    errno.EADDRINUSE: (
        "something else listens there",
        "choose another with `--port`, or `--port 0` for any that is free",
    ),
    errno.EACCES: ("only root may", "choose a port from 1024 on with `--port`"),
    errno.EADDRNOTAVAIL: (
        "no network of this machine has it",
        "`--address 0.0.0.0` is all of them",
    ),
}


class Server:
    """A server that answers until its `serving` ends."""

    def __init__(self, listener: Listener) -> None:
        self.address, self.port = listener.server_address[:2]
        self._scheme = "https" if listener.context else "http"

    @property
    def url(self) -> str:
        """With a slash at its end; where it listens everywhere, as this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(str(self.address), str(self.address))
        host = f"[{host}]" if ":" in host else host
        return f"{self._scheme}://{host}:{self.port}/"


@contextlib.contextmanager
def serving(
    directory: Path,
    address: str = "127.0.0.1",
    port: int = 0,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    log: Callable[[Served], None] = lambda _: None,
    pace: Pace | None = None,
) -> Iterator[Server]:
    """Serve `directory` for as long as the block lasts; port 0 takes any that is free.

    `certificate` and `key` are PEM files, for TLS. `log` is called from any thread. What is still
    being sent when the block ends is cut. Raises Error when it cannot listen, with the mend.
    """
    if not directory.is_dir():
        raise Error(f"cannot serve {directory}: it is no directory")
    context = None if certificate is None else _tls(certificate, key)
    listener = _listen(address, port)
    listener.root, listener.context = directory.resolve(), context
    listener.log, listener.pace = log, pace
    thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield Server(listener)
    finally:
        listener.shutdown()
        listener.server_close()
        listener.cut()
        thread.join()


def _tls(certificate: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # An empty passphrase: nobody is asked for one.
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        said = error.strerror if not isinstance(error, ssl.SSLError) else error.reason
        raise Error(
            f"cannot use the certificate {certificate} with the key {key or certificate}: {said}",
            hint="both are PEM files, the key belongs to the certificate and has no passphrase",
        ) from error
    return context


def _listen(address: str, port: int) -> Listener:
    place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    try:
        return Listener((address, port))
    except (OSError, OverflowError) as error:
        number = error.errno if isinstance(error, OSError) else None
        said, hint = _REFUSALS.get(
            number or 0, (str(error), "`--address` is one of this machine, `--port` 0 to 65535")
        )
        raise Error(f"cannot listen on {place}: {said}", hint=hint) from error
