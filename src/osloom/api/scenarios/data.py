"""Scenarios of the data partition: somebody has its passphrase, its disk becomes larger."""

from osloom.api.scenarios.device import Device
from osloom.api.scenarios.trial import Trial
from osloom.model.size import GIB

_MARK = "/var/lib/osloom-trial"
_RESET = "a new passphrase for new data"
_SIZE = "df -B1 --output=size /var | tail -n 1"


def passphrase(trial: Trial, device: Device) -> None:
    """A passphrase is chosen once and asked for at every boot; a wrong one opens nothing."""
    keyboard = device.keyboard
    assert keyboard is not None
    kind = device.run("lsblk -nro TYPE $(findmnt -nro SOURCE /var)")
    device.check(kind == "crypt", f"/var is on a `{kind}`, not encrypted")
    device.run(f"echo kept >{_MARK}; sync")

    def asked(what: str, *mistakes: str) -> list[str]:
        trial.note(what)
        before = len(keyboard.asked)
        keyboard.mistakes = [*mistakes]
        if what == _RESET:
            device.send("systemctl start factory-reset.target")
            device.wait()
        else:
            device.reboot()
        return keyboard.asked[before:]

    for what, mistakes in (("a boot", ()), ("a wrong passphrase first", ("not this one",))):
        found = asked(what, *mistakes)
        right = len(found) == 1 + len(mistakes) and "enter" in found[-1]
        device.check(right, f"{what}: {len(found)} questions", "\n".join(found))
        device.check(device.run(f"cat {_MARK}") == "kept", "data are not what they were")
    found = asked(_RESET)
    device.check(len(found) == 1 and "Choose" in found[0], "other questions", "\n".join(found))
    device.check(device.try_(f"cat {_MARK}")[0] != 0, "data are still there")


def larger_disk(trial: Trial, device: Device) -> None:
    """The disk is larger at a later boot: data have more room, and are what they were."""
    before = int(device.run(_SIZE))
    device.run(f"echo kept >{_MARK}; sync")
    device.cut_power()
    trial.enlarge(device, 2 * GIB)
    device.start()
    after = int(device.run(_SIZE))
    trial.note(f"data have {before >> 20} MiB and now {after >> 20}")
    device.check(after - before > GIB, f"of 2 GiB more data got {(after - before) >> 20} MiB")
    device.check(device.run(f"cat {_MARK}") == "kept", "data are not what they were")
