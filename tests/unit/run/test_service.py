"""What the virtual hardware tells a machine."""

import base64

from osloom.run.service import service_credentials

PATH = "export PATH=$PATH:/run/wrappers/bin:/run/current-system/sw/bin\n"


def test_credentials_write_the_script_the_unit_and_what_wants_it() -> None:
    made = dict(
        service_credentials(
            "greet", unit="[Service]\n", script="echo 100 %\n", masked=("getty.target",)
        )
    )
    lines = made.pop("tmpfiles.extra")
    *files, masked = (line.split(" ") for line in lines.splitlines())
    assert [[*row[:6], base64.b64decode(row[6], validate=True).decode()] for row in files] == [
        ["f~", "/run/greet", "0644", "root", "root", "-", f"{PATH}echo 100 %\n"],
        [
            *("f~", "/run/systemd/system/greet.service", "0644", "root", "root", "-"),
            "[Service]\nExecStart=/bin/sh /run/greet\n",
        ],
        [
            *("f~", "/run/systemd/system/multi-user.target.d/greet.conf"),
            *("0644", "root", "root", "-"),
            "[Unit]\nWants=greet.service\n",
        ],
    ]
    assert masked == ["L", "/run/systemd/system/getty.target", *"----", "/dev/null"]
    assert made == {
        "systemd.extra-unit.greet.service": "[Service]\nExecStart=/bin/sh /run/greet\n",
        "systemd.unit-dropin.multi-user.target": "[Unit]\nWants=greet.service\n",
    }


def test_a_timer_does_not_start_wherever_its_unit_is() -> None:
    made = service_credentials("greet", unit="", script="", masked=("look.timer",))
    assert "ConditionPathExists=!/\n" in made["systemd.extra-unit.look.timer"]
