"""What the virtual hardware tells a machine."""

import base64

from osloom.run.agent import credentials


def test_one_credential_writes_the_unit_what_wants_it_and_its_script() -> None:
    ((name, lines),) = credentials().items()
    assert name == "tmpfiles.extra"
    rows = [line.split(" ") for line in lines.splitlines()]
    assert [(row[0], row[1]) for row in rows] == [
        ("f~", "/run/osloom-test/agent"),
        ("f~", "/run/systemd/system/osloom-test.service"),
        ("f~", "/run/systemd/system/multi-user.target.d/osloom-test.conf"),
    ]
    script, unit, dropin = (base64.b64decode(row[6], validate=True).decode() for row in rows)
    assert "/dev/virtio-ports/org.osloom.test" in script
    assert "ExecStart=/bin/sh /run/osloom-test/agent\n" in unit
    assert dropin == "[Unit]\nWants=osloom-test.service\n"
