"""Images in podman and docker: both really run, and say what they have."""

import os
import re
import socket as sockets
import threading
from pathlib import Path

import pytest

from integration.conftest import Workshop
from support.engines import DOCKER, PODMAN, ask, engine, podman_run
from support.programs import Programs
from support.registry import running

_DEFINITION = """
[project]
name = "shop"
version = "1.2"

[image.small]
packages = ["busybox-static"]
configure = "none"
outputs = ["oci"]

[image.small.oci]
entrypoint = ["/usr/bin/busybox"]
env = { GREETING = "good day" }

[image.older]
from = "small"
outputs = ["oci"]
oci = { compression = "gzip" }
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="the engines of the test run as root")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("shop"), store)
    (workshop.directory / "osloom.toml").write_text(_DEFINITION)
    workshop("lock").check()
    return workshop


@pytest.fixture(scope="module")
def docker_programs(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Programs:
    return Programs(tmp_path_factory.mktemp("docker"), store, "docker.io", "bubblewrap")


@as_root
def test_podman_pulls_and_runs_what_was_pushed(
    shop: Workshop, registry_programs: Programs, tmp_path: Path
) -> None:
    root = registry_programs.root
    with running(root, tmp_path / "registry") as server:
        shop("push", "--to", f"{server.address}/shop").check()
        for number, name in enumerate(("small", "older")):
            said = podman_run(
                root,
                tmp_path / f"podman-{number}",
                f"{server.address}/shop/{name}:1.2",
                *("sh", "-c", "echo $GREETING; id -u"),
            )
            assert said == "good day\n65532\n"


@as_root
def test_podman_has_what_was_loaded(
    shop: Workshop, registry_programs: Programs, tmp_path: Path
) -> None:
    with engine(registry_programs.root, tmp_path / "podman", PODMAN) as socket:
        loaded = shop("load", "--json", CONTAINER_HOST=f"unix://{socket}").check().json
        image = ask(socket, "images/localhost/small:1.2/json")
        older = ask(socket, "images/localhost/older:1.2/json")
    assert [(one["name"], one["into"]) for one in loaded] == [
        ("localhost/small:1.2", "podman"),
        ("localhost/older:1.2", "podman"),
    ]
    _is_the_image(image)
    # The last layer has the name of the image in it.
    assert older["RootFS"]["Layers"][:-1] == image["RootFS"]["Layers"][:-1]


@as_root
def test_docker_has_what_was_loaded(
    shop: Workshop, docker_programs: Programs, tmp_path: Path
) -> None:
    with engine(docker_programs.root, tmp_path / "docker", DOCKER) as socket:
        given = {"DOCKER_HOST": f"unix://{socket}"}
        loaded = shop("load", "--json", "--into", "docker", **given).check().json
        image = ask(socket, "images/small:1.2/json")
    assert [(one["name"], one["into"]) for one in loaded] == [
        ("small:1.2", "docker"),
        ("older:1.2", "docker"),
    ]
    _is_the_image(image)


def _is_the_image(image: dict[str, dict[str, object]]) -> None:
    assert image["Config"]["Entrypoint"] == ["/usr/bin/busybox"]
    assert "GREETING=good day" in str(image["Config"]["Env"])


def test_without_an_engine_it_says_how_to_go_on(shop: Workshop, tmp_path: Path) -> None:
    given = {"CONTAINER_HOST": f"unix://{tmp_path}/a", "DOCKER_HOST": f"unix://{tmp_path}/b"}
    assert shop("load", **given).stderr == (
        "error: cannot load into podman or docker: its socket is not there\n"
        "hint: start one (`systemctl --user start podman.socket`), "
        "or write a file: `--into docker-archive:FILE`\n"
    )
    done = shop("load", "--into", "docker", DOCKER_HOST="tcp://192.0.2.1:2375")
    assert done.status == 2
    assert "cannot load over DOCKER_HOST=tcp://192.0.2.1:2375" in done.stderr


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            b'{"stream": "Loading"}\n{"error": "no space left"}\n',
            "cannot load into docker: it does not take the images, status 200\n  no space left",
        ),
        (b"", "cannot load into docker at "),
    ],
)
def test_an_engine_that_fails_after_it_began_is_heard(
    shop: Workshop, tmp_path: Path, answer: bytes, said: str
) -> None:
    path = tmp_path / "socket"
    listener = sockets.socket(sockets.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    seen = bytearray()

    def serve() -> None:
        connection, _ = listener.accept()
        while chunk := connection.recv(1 << 20):
            seen.extend(chunk)
            if seen.endswith(b"0\r\n\r\n"):
                break
        if answer:
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n\r\n"
            connection.sendall(head.encode() + answer)
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    done = shop("load", "small", "--into", "docker", DOCKER_HOST=f"unix://{path}")
    thread.join()
    listener.close()
    assert done.status == 1
    assert said in done.stderr
    assert re.match(rb"POST /v1\.41/images/load", bytes(seen))
