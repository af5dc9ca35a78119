"""Show what an image is made of, or what is on a disk.

Of an image: packages and store paths with their sizes, layers, files. Of a disk, raw or qcow2: its
partitions, its slots with their versions and root hashes, what the ESP can start and has free, and
what is wrong with it; then the exit status is 1. `--verify` finds damaged blocks, UKIs that were
changed after they were signed, and signatures of root hashes that are wrong. Whether a key of yours
made these only their certificate can tell, and mostly it is not on the disk.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osloom.base.errors import UsageError
from osloom.cli.context import project_of, session_of
from osloom.cli.output import in_bytes, print_json, print_table

if TYPE_CHECKING:
    from osloom.model.lock import Lock
    from osloom.model.tree import Tree
    from osloom.store.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "image", metavar="IMAGE", help="or the file of a disk: a path with a `/` or a `.` in it"
    )
    parser.add_argument("--files", action="store_true", help="list every path of the image")
    parser.add_argument(
        "--verify", action="store_true", help="check every block of a disk's slots, and signatures"
    )


def run(arguments: argparse.Namespace) -> int:
    # No name of an image has one of them.
    if "/" in arguments.image or "." in arguments.image:
        return _run_on_disk(arguments)
    if arguments.verify:
        raise UsageError(
            "cannot verify an image: `--verify` is for the file of a disk",
            hint=f"`osloom verify {arguments.image}` builds it again and compares",
        )
    return _run_on_image(arguments)


def _run_on_disk(arguments: argparse.Namespace) -> int:
    from osloom.api.disk_file import inspect_disk
    from osloom.cli.disk_report import print_report

    if arguments.files:
        raise UsageError("cannot list the files of a disk: `--files` is for an image")
    report = inspect_disk(Path(arguments.image), verify=arguments.verify)
    if arguments.json:
        print_json(report)
    else:
        print_report(arguments.image, report)
    return int(bool(report.problems))


def _run_on_image(arguments: argparse.Namespace) -> int:
    from osloom.api.plan import plan
    from osloom.api.requests import architecture_of, variant_for_host

    project = project_of(arguments)
    image = project.image(arguments.image)
    with session_of(arguments, project) as session:
        has_layers = "oci" in image.outputs
        planned = plan(session, {arguments.image: image}, ("oci",) if has_layers else ("tar",))
        own = planned.images[arguments.image]
        wanted = [own.tree, *(one.tree for one in own.packages)]
        wanted += [one.product.output for one in planned.outputs] if has_layers else []
        digests = session.make(wanted)
        tree = session.store.load_tree(digests[0])
        packages = [
            {
                "name": one.package.name,
                "version": one.package.version,
                "architecture": one.package.architecture,
                "download": one.package.size,
                "size": session.store.load_tree(digest).size,
            }
            for one, digest in zip(own.packages, digests[1:], strict=False)
        ]
        layout = session.store.load_tree(digests[-1])
        architecture = architecture_of(image)
        layers = _layers(layout, session.store, architecture) if has_layers else []
    result: dict[str, Any] = {
        "image": arguments.image,
        "paths": len(tree),
        "size": tree.size,
        "packages": sorted(packages, key=lambda one: -int(one["size"])),
        "layers": layers,
    }
    closure = _closure(session.lock, variant_for_host(arguments.image, image)[0])
    if closure:
        result["nix"] = closure
    if arguments.files:
        result["files"] = tree.dump()
    if arguments.json:
        print_json(result)
    else:
        _print(result)
    return 0


def _layers(layout: "Tree", store: "Store", architecture: str) -> list[dict[str, Any]]:
    from osloom.assemble.oci_layout import read_manifest

    manifest = read_manifest(layout, store.blobs.read, architecture)
    config = json.loads(store.blobs.read(manifest["config"]["digest"]))
    # A base image may tell less of its history than it has layers.
    made = [one for one in config.get("history", ()) if not one.get("empty_layer")]
    titles = [one.get("created_by", "") for one in made]
    titles = [""] * (len(manifest["layers"]) - len(titles)) + titles
    return [
        {"title": title, "digest": layer["digest"], "size": layer["size"]}
        for layer, title in zip(manifest["layers"], titles, strict=False)
    ]


def _closure(lock: "Lock", image: str) -> dict[str, Any]:
    """What is from Nix: sizes are bytes of NARs, `closure` with all that a path refers to, `saved`
    what would not be needed without it."""
    from osloom.model.closure import weigh

    asked = lock.images[image].installables
    if not asked:
        return {}
    paths = {path.name: path for path in lock.closure_of(image)}
    whole, each = weigh(asked, paths)
    return {
        "installables": [
            {
                "name": name,
                "paths": list(asked[name]),
                "closure": part.size,
                "saved": part.saved,
            }
            for name, part in whole.items()
        ],
        "paths": [
            {
                "name": name,
                "size": paths[name].nar_size,
                "closure": part.size,
                "saved": part.saved,
                "references": list(paths[name].references),
            }
            for name, part in sorted(each.items(), key=lambda one: (-one[1].saved, one[0]))
        ],
    }


def _print_closure(closure: dict[str, Any]) -> None:
    rows = [
        [in_bytes(one["closure"]), in_bytes(one["saved"]), one["name"]]
        for one in closure["installables"]
    ]
    print_table(["closure", "less without it", "from nix"], rows)
    print()
    rows = [
        [in_bytes(one["size"]), in_bytes(one["closure"]), in_bytes(one["saved"]), one["name"]]
        for one in closure["paths"]
    ]
    print_table(["size", "closure", "less without it", "store path"], rows)


def _print(result: dict[str, Any]) -> None:
    print(f"{result['image']}: {result['paths']} paths, {in_bytes(result['size'])}\n")
    rows = [
        [one["name"], one["version"], in_bytes(one["download"]), in_bytes(one["size"])]
        for one in result["packages"]
    ]
    if rows:
        print_table(["package", "version", "download", "unpacked"], rows)
    if "nix" in result:
        print("\n" if rows else "", end="")
        _print_closure(result["nix"])
    if result["layers"]:
        print()
        rows = [
            [in_bytes(one["size"]), one["digest"][7:19], one["title"]] for one in result["layers"]
        ]
        print_table(["size", "digest", "layer"], rows)
    for path, line in result.get("files", {}).items():
        print(f"{path} {line}")
