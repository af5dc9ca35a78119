"""Where images go, from what the definition and the command line say."""

from pathlib import Path

import pytest

from osloom.api.project import Project
from osloom.api.push import Destination, _name, _target
from osloom.base.errors import UsageError
from osloom.definition.load import parse
from osloom.model.definition import Image, Oci

_TEXT = """
[registry]
address = "own.example/team"
insecure = true
[image.app]
outputs = ["oci"]
"""


def project(text: str = _TEXT) -> Project:
    return Project(path=Path("/nowhere/osloom.toml"), definition=parse(text, file="osloom.toml"))


@pytest.mark.parametrize(
    ("to", "registry", "repository"),
    [
        (None, "own.example", "team/app"),
        ("localhost:5000", "localhost:5000", "app"),
        ("localhost:5000/a/b", "localhost:5000", "a/b/app"),
        ("docker.io/me", "docker.io", "me/app"),
        ("localhost:5000/a/b:7", "localhost:5000", "a/b"),
    ],
)
def test_an_address_is_what_stands_before_the_names(
    to: str | None, registry: str, repository: str
) -> None:
    target = _target(project(), ["app"], Destination(to=to))
    assert (target.registry, target.repository_of("app")) == (registry, repository)
    assert target.tag == ("7" if to and to.endswith(":7") else None)


@pytest.mark.parametrize(
    ("text", "to", "said"),
    [
        ('[image.app]\noutputs = ["oci"]', None, "cannot tell which registry to push to"),
        (_TEXT, "localhost/a:1", "cannot push 2 images to `localhost/a:1`"),
        (_TEXT, f"localhost/a@sha256:{'0' * 64}", "a digest comes from the content"),
        (_TEXT, "localhost/A", "`A` is not the name of a repository"),
    ],
)
def test_what_is_unclear_is_asked_back(text: str, to: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        _target(project(text), ["one", "two"], Destination(to=to))


def test_a_debug_variant_is_called_as_its_image() -> None:
    own = Image(oci=Oci(repository="tools/greeter"))
    assert _name("app", own) == "tools/greeter"
    assert _name("app", Image()) == "app"
    debug = Image(oci=Oci(repository="tools/greeter"), debug_of="app")
    assert _name("app-debug", debug) == "tools/greeter-debug"
