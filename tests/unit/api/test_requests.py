"""What is locked beside the images of a definition."""

from typing import Any

import pytest

from osloom.api.requests import EMULATOR, host_architecture, needed_by, requests
from osloom.model.definition import Definition, Image, Script

_OTHER = {"amd64": "arm64", "arm64": "amd64"}[host_architecture()]
_SCRIPTS = (Script(run="true"),)


@pytest.mark.parametrize(
    ("architecture", "settings", "wanted"),
    [
        (_OTHER, {"outputs": ("tar",)}, True),
        (_OTHER, {"outputs": ("tar",), "configure": "none"}, False),
        (_OTHER, {"outputs": ("tar",), "configure": "none", "script": _SCRIPTS}, True),
        (_OTHER, {"outputs": ("oci",)}, False),
        (host_architecture(), {"outputs": ("tar",)}, False),
    ],
)
def test_an_emulator_is_locked_where_programs_of_another_architecture_run(
    architecture: Any, settings: dict[str, Any], wanted: bool
) -> None:
    image = Image(packages=("dash",), architecture=architecture, **settings)
    definition = Definition(image={"one": image})
    assert (EMULATOR in requests(definition)) is wanted
    assert (EMULATOR in needed_by(definition, "one")) is wanted
    if wanted:
        assert requests(definition)[EMULATOR].architecture == host_architecture()


def test_an_application_has_what_every_one_has_unless_it_says_otherwise() -> None:
    plain = Image(packages=("app",), outputs=("oci",))
    chosen = Image(packages=("app",), outputs=("oci",), without=("tzdata", "lib"))
    system = Image(packages=("app",), outputs=("oci",), configure="dpkg")
    made = requests(Definition(image={"plain": plain, "chosen": chosen, "system": system}))
    assert made["plain"].names == ("app", "base-files", "ca-certificates", "tzdata")
    assert made["chosen"].names == ("app", "base-files", "ca-certificates")
    assert {"dpkg", "debconf", "base-files>awk"} <= set(made["plain"].without)
    assert {"tzdata", "lib", "dpkg"} <= set(made["chosen"].without)
    assert (made["plain"].essential, made["system"].essential) == (False, True)
    assert (made["system"].names, made["system"].without) == (("app",), ())


def test_an_extension_is_chosen_together_with_what_it_extends() -> None:
    gateway = Image(packages=("systemd", "udev=1"), outputs=("disk",), without=("x",))
    more = Image(packages=("strace", "systemd"), outputs=("sysext",), extends="gateway")
    alone = Image(packages=("strace",), outputs=("sysext",))
    definition = Definition(image={"gateway": gateway, "more": more, "alone": alone})
    made = requests(definition)
    assert made["more"].names == ("systemd", "udev=1", "strace")
    assert (made["more"].essential, made["alone"].essential) == (True, False)
    assert {"x", "adduser"} <= set(made["more"].without)
    assert made["alone"].names == ("strace",)
    assert {"gateway", "more"} <= set(needed_by(definition, "more"))
    assert "gateway" not in needed_by(definition, "alone")
