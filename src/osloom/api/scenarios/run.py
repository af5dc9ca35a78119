"""Scenarios: what a device does when it is updated, broken, reset or cut from its power.

Each is a function of a trial and its device, which runs a good version before and after.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from osloom.api.cases import make_case
from osloom.api.scenarios import data, extensions, power, refusals, resets, room, trust, updates
from osloom.api.scenarios.device import Device
from osloom.api.scenarios.trial import Trial, trial
from osloom.api.session import Session
from osloom.base.errors import Error, UsageError, nearest
from osloom.model.definition import Image
from osloom.run.report import Case

Scenario = Callable[[Trial, Device], None]

SCENARIOS: Mapping[str, Scenario] = {
    "update": updates.update,
    "window": updates.window,
    "panic": updates.broken_panic,
    "health": updates.broken_health,
    "hang": updates.broken_hang,
    "init": updates.broken_init,
    "forged": refusals.forged,
    "checksum": refusals.wrong_checksum,
    "truncated": refusals.truncated,
    "downgrade": refusals.downgrade,
    "too-large": refusals.too_large,
    "too-small": room.too_small,
    "power-cuts": power.power_cuts,
    "flipped-bit": power.flipped_bit,
    "full": power.full_data,
    "extension": extensions.extension,
    "factory-reset": resets.by_command,
    "factory-reset-menu": resets.by_menu,
    "factory-reset-credential": resets.by_credential,
    "passphrase": data.passphrase,
    "larger-disk": data.larger_disk,
    "secure-boot": trust.secure_boot,
    "sealed": trust.sealed,
    "many": power.many,
}


def run_scenarios(
    session: Session, name: str, wanted: Sequence[str], logs: Path, *, now: int
) -> list[Case]:
    """Run `wanted` in their order on one device with the appliance `name`."""
    for one in wanted:
        if one not in SCENARIOS:
            close = nearest(one, list(SCENARIOS))
            hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(SCENARIOS)}"
            raise UsageError(f"cannot find the scenario `{one}`", hint=hint)
    image = session.project.image(name)
    if not image.disk.is_appliance:
        raise UsageError(
            f"cannot try `{name}`: it is no appliance",
            hint='add `layout = "appliance"` to its table `disk`',
        )
    for one in wanted:
        _check_possible(one, name, image)
    cases: list[Case] = []
    settings = {
        "watchdog": True,
        "secure_boot": "secure-boot" in wanted,
        "tpm": "sealed" in wanted or image.disk.data.encryption == "tpm2",
    }
    with trial(session, name, now=now) as own, own.device(**settings) as device:
        start = time.monotonic()
        own.note(f"boot {name}")
        try:
            state = device.start()
            device.check(state == "running", f"the system is `{state}`")
            device.first_state = resets.state(device)
        except Error as error:
            return [_failed(own, device, "boot", start, error, logs)]
        cases.append(make_case(name, "disk", "boot", "passed", time.monotonic() - start, ("", "")))
        for one in wanted:
            start = time.monotonic()
            own.note(f"{name}: {one}")
            try:
                SCENARIOS[one](own, device)
            except Error as error:
                cases.append(_failed(own, device, one, start, error, logs))
                break
            seconds = time.monotonic() - start
            cases.append(make_case(name, "disk", one, "passed", seconds, ("", "")))
    return cases


_ENCRYPTIONS = {"passphrase": "passphrase", "sealed": "tpm2"}
"""What scenarios need of the data partition."""


def _check_possible(scenario: str, name: str, image: Image) -> None:
    """Raises UsageError for what the definition rules out: nobody has to wait for a boot to hear it."""
    cause = f"cannot try the scenario `{scenario}` with `{name}`"
    wanted = _ENCRYPTIONS.get(scenario, image.disk.data.encryption)
    if image.disk.data.encryption != wanted:
        what = {"passphrase": "behind a passphrase", "tpm2": "bound to a TPM"}[wanted]
        raise UsageError(
            f"{cause}: its data are not {what}",
            hint=f'add `data = {{ encryption = "{wanted}" }}` to `[image.{name}.disk]`',
        )
    if scenario == "extension" and not image.update.extensions:
        raise UsageError(
            f"{cause}: its devices take no extensions",
            hint=f"name some as `extensions` in `[image.{name}.update]`",
        )


def _failed(own: Trial, device: Device, what: str, start: float, error: Error, logs: Path) -> Case:
    console = device.console()
    logs.mkdir(parents=True, exist_ok=True)
    path = logs / f"{own.name}.{what}.console.log"
    path.write_text(console, errors="replace")
    own.note(f"the console of {own.name} is in {path}")
    # What is shown is the end of it.
    detail = f"{console[-3000:]}\n{error.detail}"
    seconds = time.monotonic() - start
    return make_case(own.name, "disk", what, "failed", seconds, (error.message, detail))
