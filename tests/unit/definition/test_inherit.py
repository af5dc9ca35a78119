"""`from`, as callers see it: in the definition that was loaded."""

import osloom.model.definition as model
from osloom.definition.load import parse
from osloom.model.definition import (
    Disk,
    File,
    Healthcheck,
    Image,
    Initrd,
    Oci,
    Script,
    Systemd,
    User,
)


def images(text: str) -> dict[str, Image]:
    return dict(parse(text, file="osloom.toml").image)


def test_an_image_takes_everything_of_another_one() -> None:
    found = images("""
        [image.base]
        packages = ["systemd-sysv", "udev"]
        hostname = "base"
        kernel-command-line = ["quiet"]
        recommends = true
        outputs = ["tar"]
        files = { "/a" = "a.txt", "/b" = { text = "b", mode = "0600" } }
        script = [{ run = "one" }]
        [image.base.users.app]
        shell = "/bin/sh"
        comment = "The app"
        [image.base.systemd]
        enable = ["a.service"]
        [image.base.disk]
        format = "qcow2"
        [image.base.initrd]
        packages = ["lvm2"]
        [[image.base.test]]
        run = "true"

        [image.gateway]
        from = "base"
        packages = ["nftables", "udev"]
        hostname = "gateway"
        outputs = ["disk"]
        files = { "/b" = { link = "a" } }
        script = [{ run = "two" }]
        [image.gateway.users.app]
        uid = 1500
        [image.gateway.systemd]
        enable = ["b.service"]
        mask = ["c.service"]
        [image.gateway.disk]
        size = "2G"
        [[image.gateway.test]]
        run = "false"
        """)
    assert found["gateway"] == Image(
        from_="base",
        packages=("systemd-sysv", "udev", "nftables"),
        hostname="gateway",
        kernel_command_line=("quiet",),
        recommends=True,
        outputs=("disk",),
        files={"/a": "a.txt", "/b": File(link="a")},
        script=(Script(run="one"), Script(run="two")),
        users={"app": User(shell="/bin/sh", comment="The app", uid=1500)},
        systemd=Systemd(enable=("a.service", "b.service"), mask=("c.service",)),
        disk=Disk(format="qcow2", size="2G"),
        initrd=Initrd(packages=("lvm2",)),
        test=(model.Test(run="true"), model.Test(run="false")),
    )


def test_the_image_it_starts_from_stays_as_it_is() -> None:
    found = images("""
        [image.child]
        from = "base"
        packages = ["bb"]
        files = { "/b" = "b" }
        [image.base]
        packages = ["aa"]
        files = { "/a" = "a" }
        """)
    assert found["base"] == Image(packages=("aa",), files={"/a": "a"})


def test_a_value_can_be_set_back_to_its_default() -> None:
    found = images("""
        [image.base]
        recommends = true
        disk = { format = "qcow2" }
        [image.child]
        from = "base"
        recommends = false
        disk = { format = "raw" }
        """)
    assert found["child"] == Image(from_="base", recommends=False, disk=Disk(format="raw"))


def test_a_program_and_its_arguments_replace_those_of_the_parent() -> None:
    found = images("""
        [image.base.oci]
        entrypoint = ["/usr/bin/python3", "/app/main.py"]
        command = ["serve"]
        ports = [80]
        env = { A = "1", B = "2" }
        healthcheck = { command = ["check", "--all"], retries = 5 }
        [image.child]
        from = "base"
        [image.child.oci]
        entrypoint = ["/bin/other"]
        ports = [443]
        env = { B = "3" }
        healthcheck = { command = ["other"] }
        """)
    assert found["child"].oci == Oci(
        entrypoint=("/bin/other",),
        command=("serve",),
        ports=(80, 443),
        env={"A": "1", "B": "3"},
        healthcheck=Healthcheck(command=("other",), retries=5),
    )


def test_inheritance_goes_over_several_images_in_any_order() -> None:
    found = images("""
        [image.c]
        from = "b"
        packages = ["cc"]
        [image.b]
        from = "a"
        packages = ["bb"]
        outputs = ["tar"]
        [image.a]
        packages = ["aa"]
        outputs = ["oci"]
        """)
    assert found == {
        "c": Image(from_="b", packages=("aa", "bb", "cc")),
        "b": Image(from_="a", packages=("aa", "bb"), outputs=("tar",)),
        "a": Image(packages=("aa",), outputs=("oci",)),
    }


def test_an_image_of_a_registry_is_the_base_of_all_that_start_from_it() -> None:
    found = images("""
        [image.a]
        from = "oci:registry.example.com/team/base:1"
        packages = ["vim-tiny"]
        [image.b]
        from = "a"
        [image.c]
        from = "b"
        configure = "none"
        [image.d]
        """)
    base = "oci:registry.example.com/team/base:1"
    assert {name: image.base for name, image in found.items()} == {
        "a": base,
        "b": base,
        "c": base,
        "d": None,
    }
    assert found["c"].packages == ("vim-tiny",)
    assert [found[name].configure for name in "abcd"] == ["none", "none", "none", None]
