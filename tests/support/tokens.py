"""A token server for docker-registry, by its specification: signed tokens for what is allowed.

https://distribution.github.io/distribution/spec/auth/jwt/
"""

import base64
import http.server
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from support.certificates import Authority
from support.programs import Programs

USER = "user:secret"
IDENTITY = "an identity token"


@dataclass
class TokenServer:
    """Everyone may pull `open/…`; the user may do everything."""

    address: str
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """Who asked for which scopes: ``, `user` or `identity`."""

    def settings(self, authority: Authority) -> dict[str, dict[str, object]]:
        """For the registry."""
        token = {
            "realm": f"{self.address}/token?kept=1",
            "service": "the registry",
            "issuer": "the test",
            "rootcertbundle": str(authority.certificate),
        }
        return {"auth": {"token": token}}


@contextmanager
def serving_tokens(programs: Programs, authority: Authority, work: Path) -> Iterator[TokenServer]:
    """Over TLS, with the authority's certificate for this machine."""
    guard = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("Authorization")
            if given not in (None, "Basic " + base64.b64encode(USER.encode()).decode()):
                self.send_error(401)
                return
            query = parse_qs(urlsplit(self.path).query)
            assert query["kept"] == ["1"]
            self._grant("user" if given else "", query)

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = parse_qs(text)
            if form["refresh_token"] != [IDENTITY] or form["grant_type"] != ["refresh_token"]:
                self.send_error(401)
                return
            self._grant("identity", form)

        def _grant(self, who: str, form: dict[str, list[str]]) -> None:
            assert form["service"] == ["the registry"]
            scopes = tuple(one for text in form.get("scope", []) for one in text.split())
            server.asked.append((who, scopes))
            access = []
            for scope in scopes:
                kind, name, actions = scope.split(":")
                allowed = [
                    one
                    for one in actions.split(",")
                    if who or (name.startswith("open/") and one == "pull")
                ]
                access.append({"type": kind, "name": name, "actions": allowed})
            with guard:
                token = _sign(programs, authority, work, access)
            body = json.dumps({"token": token, "expires_in": 300}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server_certificate, authority.server_key)
    listener.socket = context.wrap_socket(listener.socket, server_side=True)
    server = TokenServer(f"https://127.0.0.1:{listener.server_address[1]}")
    threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()


def _sign(programs: Programs, authority: Authority, work: Path, access: object) -> str:
    now = int(time.time())
    der = ssl.PEM_cert_to_DER_cert(authority.server_certificate.read_text())
    head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
    claims = {
        "iss": "the test",
        "aud": "the registry",
        "sub": "",
        "nbf": now - 10,
        "iat": now,
        "exp": now + 300,
        "jti": str(now),
        "access": access,
    }
    signed = f"{_encode(json.dumps(head).encode())}.{_encode(json.dumps(claims).encode())}"
    (work / "claims").write_text(signed)
    key = authority.server_key
    programs(
        "usr/bin/openssl",
        *("dgst", "-sha256", "-sign", key, "-out", work / "signature", work / "claims"),
    )
    return f"{signed}.{_encode((work / 'signature').read_bytes())}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
