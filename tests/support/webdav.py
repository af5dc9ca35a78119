"""A server that takes PUT, DELETE and MKCOL: nginx of a tools image."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from osloom.engine.tools import start_from
from support.programs import Programs


@dataclass
class WebDav:
    """nginx that takes PUT, DELETE and MKCOL below a directory."""

    root: Path
    url: str
    log: Path
    seen: int = field(default=0)

    def changes(self) -> list[str]:
        """Since the last call: `METHOD PATH STATUS`."""
        # The server writes a request down after its answer, and before it begins with another.
        httpx.get(self.url)
        lines = self.log.read_text().splitlines()
        new, self.seen = lines[self.seen :], len(lines)
        return [line for line in new if line.split()[0] in ("PUT", "DELETE", "MKCOL")]


@contextlib.contextmanager
def webdav(prefix: Path, programs: Programs) -> Iterator[WebDav]:
    """One that keeps all it needs in `prefix`."""
    (prefix / "files").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    temporary = "".join(
        f"{name}_temp_path temporary;\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (prefix / "nginx.conf").write_text(
        f"{'user root;' if os.getuid() == 0 else ''} daemon off; pid nginx.pid;\n"
        "error_log error.log; events {}\n"
        "http { log_format plain '$request_method $uri $status'; access_log access.log plain;\n"
        f"{temporary} client_max_body_size 0;\n"
        f"server {{ listen 127.0.0.1:{port}; root {prefix}/files;\n"
        "dav_methods PUT DELETE MKCOL; } }\n"
    )
    server = subprocess.Popen(
        [
            *start_from(programs.root, "usr/sbin/nginx"),
            *("-p", f"{prefix}/", "-c", f"{prefix}/nginx.conf", "-e", f"{prefix}/error.log"),
        ]
    )
    try:
        while True:
            assert server.poll() is None, (prefix / "error.log").read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield WebDav(prefix / "files", f"http://127.0.0.1:{port}", prefix / "access.log")
    finally:
        server.terminate()
        server.wait()
