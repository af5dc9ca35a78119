"""Push, pull and load with the registries, clients and engines that others use."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import SHOP, SHOP_FILE, Workshop
from osloom.base.progress import silent
from osloom.fetch.registry.registry import open_registry
from osloom.release.layout import load_layout
from osloom.release.push import Wanted, push
from support.cli import environment
from support.programs import Programs
from support.proxy import Exchange, proxying
from support.registry import Server


def inspect(programs: Programs, reference: str, *options: str) -> Any:
    return json.loads(programs("usr/bin/skopeo", "inspect", *options, f"docker://{reference}"))


def files(layout: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(layout)): path.read_bytes()
        for path in sorted(layout.rglob("*"))
        if path.is_file()
    }


def test_what_is_pushed_is_what_skopeo_sees_and_what_comes_back(
    shop: Workshop, registry: Server, registry_programs: Programs, tmp_path: Path
) -> None:
    pushed = shop("push", "--json", "--to", f"{registry.address}/team").check().json
    assert [one["reference"].partition("/")[2] for one in pushed] == [
        "team/one:1.2",
        "team/tools/second:1.2",
        "team/tools/second:stable",
    ]
    for one in pushed:
        seen = inspect(registry_programs, one["reference"], "--tls-verify=false")
        assert seen["Digest"] == one["digest"]
    layout = shop.directory / "dist/two/two.oci"
    shop("pull", pushed[2]["reference"], "--to", str(tmp_path / "pulled")).check()
    index = (layout / "index.json").read_bytes().replace(b'"1.2"', b'"stable"')
    assert files(tmp_path / "pulled") == {**files(layout), "index.json": index}


def test_oras_fetches_the_manifest_that_was_pushed(
    shop: Workshop, registry: Server, registry_programs: Programs
) -> None:
    (one,) = shop("push", "one", "--json", "--to", registry.address).check().json
    words = ("manifest", "fetch", "--plain-http", one["reference"])
    blobs = shop.directory / "dist/one/one.oci/blobs/sha256"
    assert registry_programs("usr/bin/oras", *words) == (blobs / one["digest"][7:]).read_text()


def test_an_unchanged_push_is_one_request_a_tag(shop: Workshop, registry: Server) -> None:
    arguments = ("push", "--json", "--to", f"{registry.address}/team")
    first = shop(*arguments).check().json
    before = len(registry.requests())
    second = shop(*arguments).check().json
    assert sorted(registry.since(before)) == [
        "GET /v2/ 200",
        "HEAD /v2/team/one/manifests/1.2 200",
        "HEAD /v2/team/tools/second/manifests/1.2 200",
        "HEAD /v2/team/tools/second/manifests/stable 200",
    ]
    assert [one["digest"] for one in first] == [one["digest"] for one in second]
    assert all(one["unchanged"] and one["sent"] == 0 for one in second)


def test_blobs_are_sent_once_and_mounted_by_the_others(shop: Workshop, registry: Server) -> None:
    one, two, _ = shop("push", "--json", "--to", registry.address).check().json
    assert one["sent"] > 0
    assert two["sent"] > SHOP_FILE
    assert one["mounted"] + two["mounted"] > 500_000
    posts = registry.since(0, kind="/uploads/")
    mounted = [post for post in posts if "mount=" in post]
    assert mounted
    assert all(post.endswith(" 201") for post in mounted)


def test_blobs_of_an_image_that_was_pushed_before_are_mounted(
    shop: Workshop, registry: Server
) -> None:
    shop("push", "one", "--to", registry.address).check()
    (two, _) = shop("push", "two", "--json", "--to", registry.address).check().json
    assert two["mounted"] > 500_000


def test_more_tags_are_one_request_each_and_come_after_the_content(
    shop: Workshop, registry: Server
) -> None:
    arguments = ("push", "one", "--to", f"{registry.address}/one:a", "--tag", "b", "--tag", "c")
    shop(*arguments).check()
    requests = registry.since(0, kind="/manifests/")
    digest = requests[1].split()[1].rpartition("/")[2]
    assert digest.startswith("sha256:")
    assert requests == [
        "HEAD /v2/one/manifests/a 404",
        f"PUT /v2/one/manifests/{digest} 201",
        "PUT /v2/one/manifests/a 201",
        "HEAD /v2/one/manifests/a 200",
        "PUT /v2/one/manifests/b 201",
        "PUT /v2/one/manifests/c 201",
    ]


def test_an_image_for_several_platforms_that_others_made_comes_whole_or_in_part(
    shop: Workshop, registry: Server, registry_programs: Programs, tmp_path: Path
) -> None:
    made = _several_platforms(shop.directory / "dist/one/one.oci", tmp_path / "made")
    skopeo = ("usr/bin/skopeo", "--insecure-policy", "copy", "--all", "--preserve-digests")
    reference = f"{registry.address}/several:1"
    registry_programs(*skopeo, "--dest-tls-verify=false", f"oci:{made}", f"docker://{reference}")
    pulled = shop("pull", "--json", reference, "--to", str(tmp_path / "all")).check().json
    assert pulled["platforms"] == ["linux/amd64", "linux/arm64"]
    assert pulled["digest"] == inspect(
        registry_programs, reference, "--tls-verify=false", "--override-arch=arm64"
    ).get("Digest")
    again = ("--insecure-policy", "copy", "--all", f"oci:{tmp_path / 'all'}")
    registry_programs("usr/bin/skopeo", *again, f"oci:{tmp_path / 'again'}")
    with open_registry(registry.address) as opened:
        wanted = Wanted(
            image="several",
            layout=load_layout(tmp_path / "all"),
            repository="pushed",
            tags=("1",),
        )
        push(opened, [wanted], siblings={}, report=silent)
    raw = f"docker://{registry.address}/pushed:1"
    inspected = registry_programs("usr/bin/skopeo", "inspect", "--raw", "--tls-verify=false", raw)
    assert f"sha256:{hashlib.sha256(inspected.encode()).hexdigest()}" == pulled["digest"]
    part = ("--platform", "linux/arm64", "--to", str(tmp_path / "part"))
    shop("pull", reference, *part).check()
    config = json.loads(
        registry_programs("usr/bin/skopeo", "inspect", "--config", f"oci:{tmp_path / 'part'}")
    )
    assert config["architecture"] == "arm64"
    done = shop("pull", reference, "--platform", "linux/mips", "--to", str(tmp_path / "none"))
    assert done.status == 1
    assert done.stderr == (
        f"error: cannot find {reference} for linux/mips\n"
        "hint: there are: linux/amd64, linux/arm64\n"
    )
    assert not (tmp_path / "none").exists()


def _several_platforms(layout: Path, target: Path) -> Path:
    """The same image twice, once said to be for arm64, below one index."""
    shutil.copytree(layout, target)

    def add(value: Any) -> dict[str, Any]:
        data = json.dumps(value).encode()
        digest = hashlib.sha256(data).hexdigest()
        (target / "blobs/sha256" / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    def blob(digest: str) -> Any:
        return json.loads((target / "blobs/sha256" / digest[7:]).read_bytes())

    (entry,) = json.loads((target / "index.json").read_text())["manifests"]
    manifest = blob(entry["digest"])
    config = {**blob(manifest["config"]["digest"]), "architecture": "arm64"}
    other = add({**manifest, "config": {**manifest["config"], **add(config)}})
    plain = {"mediaType": entry["mediaType"], "digest": entry["digest"], "size": entry["size"]}
    index_type = "application/vnd.oci.image.index.v1+json"
    entries = [
        {**plain, "platform": {"os": "linux", "architecture": "amd64"}},
        {**plain, **other, "platform": {"os": "linux", "architecture": "arm64"}},
    ]
    index = {"schemaVersion": 2, "mediaType": index_type, "manifests": entries}
    top = {"schemaVersion": 2, "manifests": [{"mediaType": index_type, **add(index)}]}
    (target / "index.json").write_text(json.dumps(top))
    return target


def test_the_definition_says_where_to(shop: Workshop, registry: Server, tmp_path: Path) -> None:
    text = f'[registry]\naddress = "{registry.address}/team"\n{SHOP}'
    here = Workshop(tmp_path, shop.store)
    (tmp_path / "osloom.toml").write_text(text)
    (tmp_path / "two.bin").write_bytes(b"2")
    here("lock").check()
    here("push").check()
    puts = [one for one in registry.requests() if one.startswith("PUT") and "/1.2 " in one]
    assert sorted(puts) == [
        "PUT /v2/team/one/manifests/1.2 201",
        "PUT /v2/team/tools/second/manifests/1.2 201",
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("push",), 2, "cannot tell which registry to push to"),
        (("push", "bare", "--to", "host.example"), 2, "cannot push `bare`: it has no output `oci`"),
        (("push", "--to", "host.example/a:1"), 2, "cannot push 2 images to `host.example/a:1`"),
        (("push", "--to", "team"), 2, "cannot read the reference `team`: `team` has no dot"),
        (
            ("push", "--to", "127.0.0.1:1", "--tag", "a b"),
            2,
            "cannot read the reference `a b`: `a b` is not a tag",
        ),
        (("push", "--to", "127.0.0.1:1"), 1, "cannot reach 127.0.0.1:1: Connection refused"),
        (
            ("push", "--to", "127.0.0.1:1", "--ca", "/dev/null"),
            1,
            "cannot read the certificates in /dev/null: it holds no certificate",
        ),
        (
            ("pull", "x.example/Up"),
            2,
            "cannot read the reference `x.example/Up`: `Up` is not the name of a repository",
        ),
        (("pull", "127.0.0.1:1/app", "--platform", "arm64"), 2, "cannot read the platform `arm64`"),
        (("load", "--into", "nowhere"), 2, "cannot load into `nowhere`"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    shop: Workshop, arguments: tuple[str, ...], status: int, said: str
) -> None:
    done = shop(*arguments)
    assert done.status == status
    assert done.stderr.splitlines()[-2:][0] == f"error: {said}" or (
        done.stderr.splitlines()[-1] == f"error: {said}"
    )


def test_a_pull_that_finds_nothing_leaves_nothing(
    shop: Workshop, registry: Server, tmp_path: Path
) -> None:
    done = shop("pull", f"{registry.address}/app:7", "--to", str(tmp_path / "app"))
    assert done.stderr == (
        f"error: cannot find {registry.address}/app:7\n"
        "hint: check its spelling, and whether it is private\n"
    )
    assert not (tmp_path / "app").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("kept")
    done = shop("pull", f"{registry.address}/app:7", "--to", str(tmp_path / "mine"))
    assert done.status == 2
    assert (tmp_path / "mine/file").read_text() == "kept"


def test_a_killed_push_leaves_no_tag_and_the_next_one_finishes(
    shop: Workshop, registry: Server, registry_programs: Programs
) -> None:
    shop("build").check()
    for delay in (0.4, 0.5, 0.6, 0.8):
        before = registry.requests()
        process = subprocess.Popen(
            [sys.executable, "-m", "osloom", "push", "--to", f"{registry.address}/killed"],
            cwd=shop.directory,
            env=environment(OSLOOM_STORE=str(shop.store)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        tagged = [one for one in registry.since(len(before)) if one.startswith("PUT")]
        for one in tagged:
            if "/manifests/1.2 201" in one:
                name = one.split()[1].removeprefix("/v2/").partition("/manifests/")[0]
                _whole(registry_programs, f"{registry.address}/{name}:1.2")
    pushed = shop("push", "--json", "--to", f"{registry.address}/killed").check().json
    for one in pushed:
        _whole(registry_programs, one["reference"])


def _whole(programs: Programs, reference: str) -> None:
    """skopeo reads every blob and checks its digest."""
    command = ("--insecure-policy", "copy", "--src-tls-verify=false", f"docker://{reference}")
    target = programs.root.parent / "whole"
    programs("usr/bin/skopeo", *command, f"dir:{target}")


def test_archives_are_what_others_read_and_always_the_same(
    shop: Workshop, registry_programs: Programs, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        shop("load", "--into", f"docker-archive:{tmp_path / name}.tar").check()
        shop("load", "two", "--into", f"oci-archive:{tmp_path / name}.oci.tar").check()
    for form in ("tar", "oci.tar"):
        assert (tmp_path / f"first.{form}").read_bytes() == (
            tmp_path / f"second.{form}"
        ).read_bytes()
    copy = ("usr/bin/skopeo", "--insecure-policy", "copy")
    for image in ("one", "two"):
        source = f"docker-archive:{tmp_path / 'first.tar'}:{image}:1.2"
        registry_programs(*copy, source, f"oci:{tmp_path / image}")
        (copied,) = _images(tmp_path / image)
        (own,) = _images(shop.directory / f"dist/{image}/{image}.oci")
        assert copied["rootfs"] == own["rootfs"]
        assert copied["config"] == own["config"]
    registry_programs(
        *copy,
        "--preserve-digests",
        f"oci-archive:{tmp_path / 'first.oci.tar'}",
        f"oci:{tmp_path / 'archive'}:1.2",
    )
    assert _images(tmp_path / "archive") == _images(shop.directory / "dist/two/two.oci")


def _images(layout: Path) -> list[Any]:
    """The configurations in a layout."""

    def blob(digest: str) -> Any:
        return json.loads((layout / "blobs/sha256" / digest[7:]).read_bytes())

    index = json.loads((layout / "index.json").read_text())
    return [blob(blob(one["digest"])["config"]["digest"]) for one in index["manifests"]]


def test_an_interrupt_ends_a_push_to_a_registry_that_says_nothing_more(
    shop: Workshop, registry: Server
) -> None:
    reached = threading.Event()
    over = threading.Event()

    def stall(exchange: Exchange) -> bool:
        if exchange.method != "PUT":
            return False
        reached.set()
        over.wait(120)
        return True

    with proxying(registry.address, stall) as proxy:
        process = subprocess.Popen(
            [sys.executable, "-m", "osloom", "push", "--to", f"{proxy.address}/stalled"],
            cwd=shop.directory,
            env=environment(OSLOOM_STORE=str(shop.store)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert reached.wait(60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        over.set()
    assert process.returncode == 128 + signal.SIGINT
    assert said.splitlines()[-1] == "stopped; the next run continues where this one was"
