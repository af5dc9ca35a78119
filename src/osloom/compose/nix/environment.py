"""How people and programs of an image find what its profile of Nix packages holds."""

from collections.abc import Mapping, Sequence

import msgspec

from osloom.compose.application.certificates import BUNDLE
from osloom.compose.customise import Root
from osloom.compose.nix.profile import PROFILE
from osloom.model.application import Derived
from osloom.model.closure import STORE
from osloom.model.nix_package import parse_package_name
from osloom.model.search_path import is_program
from osloom.model.store_path import name_part
from osloom.model.tree import Node, resolve_links

PROGRAMS = f"{PROFILE}/bin"
_CERTIFICATES = "etc/ssl/certs/ca-bundle.crt"
"""Where nixpkgs' `cacert` has its bundle."""

_LOGIN = f"""\
# Programs of Nix packages: after those of /usr/local, before the distribution's.
case ":$PATH:" in
*:{PROGRAMS}:*) ;;
*:/usr/sbin:*) PATH="${{PATH%%/usr/sbin*}}{PROGRAMS}:/usr/sbin${{PATH#*/usr/sbin}}" ;;
*:/usr/bin:*) PATH="${{PATH%%/usr/bin*}}{PROGRAMS}:/usr/bin${{PATH#*/usr/bin}}" ;;
*) PATH="$PATH:{PROGRAMS}" ;;
esac
export PATH
"""
_SESSION = f"PATH=/usr/local/bin:{PROGRAMS}:/usr/bin:/bin\n"


def add_environment(
    root: Root, closure: Mapping[str, Node], *, application: bool
) -> dict[str, str]:
    """Add what helps to find the profile, where it is of use and nothing else is in its place.

    Gives the variables that a container needs for it. In an application of nothing else the
    programs are in /bin as well.
    """
    if "etc/profile.d" in root.nodes:
        _write(root, "etc/profile.d/osloom-nix.sh", _LOGIN)
    if "usr/lib/systemd/systemd" in root.nodes:
        _write(root, "etc/environment.d/60-osloom-nix.conf", _SESSION)
    for name in _programs(root.nodes, PROGRAMS) if application else ():
        if root.place(f"bin/{name}") not in root.nodes:
            root.put(f"bin/{name}", Node("symlink", 0o777, target=f"{PROGRAMS}/{name}"))
    return _add_certificates(root, closure)


def _add_certificates(root: Root, closure: Mapping[str, Node]) -> dict[str, str]:
    """The bundle of `cacert`, where the closure has it and the image has no other."""
    depth = len(f"{STORE}/NAME/{_CERTIFICATES}".split("/")) - 1
    found = [path for path in closure if path.endswith(_CERTIFICATES)]
    found = [path for path in found if len(path.split("/")) == depth]
    if not found:
        return {}
    newest = max(found, key=lambda path: (name_part(path.split("/")[2]), path))
    bundle = Node("symlink", 0o777, target=f"/{newest}")
    there = root.nodes.get(root.place(BUNDLE))
    if there is not None and there.target != bundle.target:
        return {}
    root.put(BUNDLE, bundle)
    return {"SSL_CERT_FILE": f"/{BUNDLE}"}


def _write(root: Root, path: str, text: str) -> None:
    if root.place(path) not in root.nodes:
        root.write(path, text)


def derived_of(
    given: Derived,
    nodes: Mapping[str, Node],
    package: Sequence[str],
    *,
    environment: Mapping[str, str],
    notes: Sequence[str],
) -> Derived:
    """`given`, with what the packages say of how a container runs.

    `package` has the store paths of the one whose program it runs; none: of another source.
    """
    more: list[str] = []
    changes: dict[str, object] = {}
    if package:
        title = parse_package_name(package[0]).package
        changes["title"] = title
        names = sorted({one for name in package for one in _programs(nodes, f"{STORE}/{name}/bin")})
        chosen = title if title in names else names[0] if len(names) == 1 else None
        if chosen is not None:
            changes["entrypoint"] = (f"/bin/{chosen}",)
        else:
            there = f"it has {', '.join(names[:8])}" if names else "it has none"
            more.append(
                f"no program of `{title}` is plainly the one to run ({there}): say `entrypoint`"
            )
    return msgspec.structs.replace(
        given,
        environment={**environment, **given.environment},
        path=(PROGRAMS,),
        notes=(*given.notes, *notes, *more),
        **changes,
    )


def _programs(nodes: Mapping[str, Node], directory: str) -> list[str]:
    """The names of programs in a directory; not those that nixpkgs wraps, which are hidden."""
    below = f"{resolve_links(nodes, directory)}/"
    names = [path[len(below) :] for path in nodes if path.startswith(below)]
    return [
        name
        for name in names
        if "/" not in name and not name.startswith(".") and is_program(nodes, below + name)
    ]
