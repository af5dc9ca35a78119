"""The image configuration of an OCI image, and what of it the image has to hold.

https://github.com/opencontainers/image-spec: config.md, annotations.md
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import BuildError, UsageError, nearest
from osloom.model.application import Derived
from osloom.model.definition import Oci
from osloom.model.search_path import PATH, file_at, is_program, places
from osloom.model.tree import Node, Tree
from osloom.model.user import find_user

_ESSENTIAL = {"sh": "dash", "bash": "bash", "env": "coreutils", "perl": "perl-base"}
"""The packages of programs that scripts are for; they are essential, Debian Policy 3.8."""


def effective(settings: Oci, derived: Derived) -> Oci:
    """What the definition says, and where it is silent what the packages say."""
    return msgspec.structs.replace(
        settings,
        entrypoint=settings.entrypoint or derived.entrypoint,
        user=settings.user or derived.user,
        env=derived.environment | settings.env,
        working_directory=settings.working_directory or derived.working_directory,
        stop_signal=settings.stop_signal or derived.stop_signal,
        volumes=tuple(dict.fromkeys((*derived.volumes, *settings.volumes))),
        ports=tuple(dict.fromkeys((*derived.ports, *settings.ports))),
    )


def with_path(settings: Oci, directories: Sequence[str]) -> Oci:
    """Settings with `directories` in PATH: after those of /usr/local, where somebody puts by hand
    what has to go first, and before the first of the distribution's."""
    words = settings.env.get("PATH", PATH).split(":")
    own = set(PATH.split(":")[2:])
    place = next((number for number, word in enumerate(words) if word in own), len(words))
    path = dict.fromkeys((*words[:place], *directories, *words[place:]))
    return msgspec.structs.replace(settings, env={**settings.env, "PATH": ":".join(path)})


def identity(derived: Derived, *, name: str, version: str, revision: str) -> dict[str, str]:
    """What the image is called, annotations.md; labels of the configuration say the same."""
    said = {
        "title": name,
        "version": version,
        "description": derived.description,
        "revision": revision,
    }
    return {f"org.opencontainers.image.{key}": value for key, value in said.items() if value}


def image_config(
    settings: Oci,
    layers: Sequence[Mapping[str, Any]],
    *,
    architecture: str,
    created: str,
    labels: Mapping[str, str],
) -> dict[str, Any]:
    """The image configuration, config.md; empty values are left out."""
    environment = {"PATH": PATH, **settings.env}
    config: dict[str, Any] = {
        "User": settings.user,
        "ExposedPorts": {_port(port): {} for port in settings.ports},
        "Env": [f"{name}={value}" for name, value in sorted(environment.items(), key=_path_first)],
        "Entrypoint": list(settings.entrypoint),
        "Cmd": list(settings.command),
        "Volumes": {path: {} for path in settings.volumes},
        "WorkingDir": settings.working_directory,
        "Labels": dict(sorted({**labels, **settings.labels}.items())),
        "StopSignal": settings.stop_signal,
    }
    if settings.healthcheck is not None:
        check = settings.healthcheck
        config["Healthcheck"] = {
            "Test": ["CMD", *check.command],
            "Interval": check.interval * 10**9,
            "Timeout": check.timeout * 10**9,
            **({"StartPeriod": check.start_period * 10**9} if check.start_period else {}),
            "Retries": check.retries,
        }
    return {
        "created": created,
        **platform(architecture),
        "config": {name: value for name, value in config.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [layer["diffId"] for layer in layers]},
        "history": [{"created": created, "created_by": layer["title"]} for layer in layers],
    }


def platform(architecture: str) -> dict[str, str]:
    """The machine, as image-index.md has it; Debian says `amd64` and `arm64` as Go does."""
    variant = {"variant": "v8"} if architecture == "arm64" else {}
    return {"architecture": architecture, "os": "linux", **variant}


def _port(port: int | str) -> str:
    text = str(port)
    return text if "/" in text else f"{text}/tcp"


def _path_first(pair: tuple[str, str]) -> tuple[bool, str]:
    return pair[0] != "PATH", pair[0]


def check_config(settings: Oci, tree: Tree, read: Callable[[Digest], bytes]) -> None:
    """Raises BuildError when the program or the user is not in the image."""

    def text(path: str) -> str:
        node = tree.get(tree.resolve(path))
        return read(node.digest).decode(errors="replace") if node and node.digest else ""

    try:
        find_user(settings.user, passwd=text("etc/passwd"), group=text("etc/group"))
    except UsageError as error:
        raise BuildError(error.message, hint=error.hint) from error
    words = settings.entrypoint or settings.command
    if words:
        node = _program(words[0], settings, tree)
        _check_interpreter(words[0], read(node.digest)[:256] if node.digest else b"", tree)


def _program(program: str, settings: Oci, tree: Tree) -> Node:
    tried = places(
        program,
        path=settings.env.get("PATH", PATH),
        directory=settings.working_directory or "",
    )
    found = [node for place in tried if (node := file_at(tree, place)) is not None]
    if not found:
        raise BuildError(
            f"cannot find the entrypoint `{program}` in the image",
            hint=_package_of(program) or _near(program, tree),
        )
    if not found[0].mode & 0o111:
        raise BuildError(
            f"cannot run the entrypoint `{program}`: it is not executable",
            hint='give it a mode: `mode = "0755"` in `files`',
        )
    return found[0]


def _package_of(program: str) -> str | None:
    """What brings a program that every system has, and so no package says that it needs."""
    name = _ESSENTIAL.get(program.rpartition("/")[2])
    return f"add the package `{name}`" if name else None


def _near(program: str, tree: Tree) -> str | None:
    """The nearest path: of the same name elsewhere, or written nearly so."""
    programs = [f"/{path}" for path in tree if is_program(tree, path)]
    name = program.rpartition("/")[2]
    close = [path for path in programs if path.rpartition("/")[2] == name]
    close = close or nearest(program, programs)
    if not close:
        names = {path.rpartition("/")[2]: path for path in programs}
        close = [names[one] for one in nearest(name, list(names))]
    return f"did you mean `{close[0]}`?" if close else None


def _check_interpreter(program: str, start: bytes, tree: Tree) -> None:
    if not start.startswith(b"#!"):
        return
    words = start[2:].partition(b"\n")[0].split()
    interpreter = words[0].decode(errors="replace") if words else ""
    if file_at(tree, interpreter) is None:
        raise BuildError(
            f"cannot run the entrypoint `{program}`: it is a script for `{interpreter}`, "
            "which the image does not have",
            hint=_package_of(interpreter) or "add the package that has it, or name another program",
        )
