"""OCI layouts, read by others: skopeo checks every digest, umoci unpacks as runtimes do."""

import json
from pathlib import Path

import pytest

from integration.conftest import Workshop
from support.programs import Programs

_DEFINITION = """
[project]
name = "shop"
version = "1.2"

[image.small]
packages = ["busybox-static"]
configure = "none"
outputs = ["oci"]

[image.small.files]
"/app/run" = { text = "#!/bin/busybox sh\\n", mode = "4755" }

[image.small.oci]
entrypoint = ["/app/run"]
env = { GREETING = "good day" }
user = "1234"

[image.older]
from = "small"
outputs = ["oci"]

[image.older.oci]
compression = "gzip"

[image.plain]
from = "small"
outputs = ["oci"]

[image.plain.oci]
compression = "none"
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"), store, "skopeo", "umoci")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("shop"), store)
    (workshop.directory / "osloom.toml").write_text(_DEFINITION)
    for command in ("lock", "build"):
        workshop(command).check()
    return workshop


@pytest.mark.parametrize("image", ["small", "older", "plain"])
def test_skopeo_copies_it_whole(
    tmp_path: Path, programs: Programs, shop: Workshop, image: str
) -> None:
    layout = shop.directory / f"dist/{image}/{image}.oci"
    copy = tmp_path / "copy"
    # Of itself it compresses layers that are not.
    command = ["--insecure-policy", "copy", "--preserve-digests", f"oci:{layout}"]
    programs("usr/bin/skopeo", *command, f"oci:{copy}:again")
    (first,) = json.loads((layout / "index.json").read_text())["manifests"]
    (second,) = json.loads((copy / "index.json").read_text())["manifests"]
    assert first["digest"] == second["digest"]
    inspected = json.loads(programs("usr/bin/skopeo", "inspect", "--config", f"oci:{layout}"))
    assert inspected["config"]["Entrypoint"] == ["/app/run"]
    assert inspected["config"]["User"] == "1234"
    assert "GREETING=good day" in inspected["config"]["Env"]


def test_umoci_unpacks_it_for_a_runtime(tmp_path: Path, programs: Programs, shop: Workshop) -> None:
    layout = shop.directory / "dist/older/older.oci"
    bundle = tmp_path / "bundle"
    programs("usr/bin/umoci", "unpack", "--rootless", "--image", f"{layout}:1.2", bundle)
    assert (bundle / "rootfs/app/run").stat().st_mode & 0o7777 == 0o4755
    assert (bundle / "rootfs/usr/bin/busybox").exists()
    process = json.loads((bundle / "config.json").read_text())["process"]
    assert process["args"] == ["/app/run"]
