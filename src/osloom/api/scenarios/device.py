"""A device in a trial: one machine over many boots, and what scenarios ask of it."""

import contextlib
import time
from pathlib import Path

import msgspec

from osloom.base.errors import BuildError
from osloom.engine.tools import Tools
from osloom.run.agent import Agent, RebootError
from osloom.run.keyboard import Keyboard
from osloom.run.machine import Drive, Machine
from osloom.run.qemu import Running, started

BOOT = 600
"""Seconds that a boot may take; under emulation it is slow."""
_STATE = r"""
. /etc/os-release
counted=no
test -e /sys/firmware/efi/efivars/LoaderBootCountPath-* && test ! -e /run/osloom-good && counted=yes
echo "$IMAGE_VERSION $counted"
"""
_ENTRIES = "for directory in /efi /boot; do ls $directory/EFI/Linux 2>/dev/null || true; done"


class FailedError(BuildError):
    """The device is not as it has to be."""


class Device:
    """See the module. Power is on from `start` to `cut_power` or the end of the block."""

    def __init__(
        self, machine: Machine, tools: Tools, work: Path, keyboard: Keyboard | None = None
    ) -> None:
        self._machine = machine
        self._tools = tools
        self._stack = contextlib.ExitStack()
        self._agent: Agent | None = None
        self.running: Running | None = None
        self.work = work
        self.keyboard = keyboard
        """Who answers what its console asks while somebody waits for it."""
        self.first_state = ""
        """What its first boot has made, as `resets.state` says it."""

    @property
    def drives(self) -> tuple[Drive, ...]:
        return self._machine.drives

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> str:
        """Power on, and wait until it is up; gives its state as systemctl(1) says it."""
        self.power_on()
        assert self._agent is not None
        return self._agent.wait(BOOT)

    def power_on(self) -> None:
        for name in ("test", "console"):
            (self.work / name).unlink(missing_ok=True)
        self.running = self._stack.enter_context(started(self._machine, self._tools, self.work))
        self._agent = Agent(self.work / "test", is_alive=self._attend)

    def give(self, name: str, value: str) -> None:
        """A credential, which it has from the next time that its power is switched on."""
        credentials = {**self._machine.credentials, name: value}
        self._machine = msgspec.structs.replace(self._machine, credentials=credentials)

    def cut_power(self) -> None:
        assert self.running is not None
        self.running.kill()
        self._stack.close()

    def run(self, command: str, *, timeout: int = 120) -> str:
        """What shell text prints that succeeds. Raises FailedError when it does not."""
        status, output = self.try_(command, timeout=timeout)
        if status != 0:
            first = command.strip().splitlines()[0]
            raise FailedError(f"`{first}` failed with status {status}", detail=output)
        return output.strip()

    def try_(self, command: str, *, timeout: int = 120) -> tuple[int, str]:
        assert self._agent is not None
        answer = self._agent.run(command, timeout=timeout)
        return answer.status, answer.output

    def send(self, command: str) -> None:
        """Start shell text that may end the boot."""
        with contextlib.suppress(RebootError, BuildError):
            self.run(f"systemd-run --no-block --quiet sh -c '{command}'", timeout=60)

    def update(self) -> None:
        """Have it look for a newer version; it starts that by itself."""
        self.send("systemctl start --no-block osloom-update.service")

    def reboot(self) -> str:
        assert self._agent is not None
        return self._agent.reboot(BOOT)

    def wait(self, timeout: float = BOOT) -> str:
        """Until it is up in a boot that was not seen before; gives its state."""
        assert self._agent is not None
        return self._agent.wait(timeout)

    def boot(self) -> str:
        """The id of the boot that runs, random(4)."""
        return self.run("cat /proc/sys/kernel/random/boot_id")

    def version(self) -> int:
        """The version that runs."""
        return int(self.run(_STATE).split()[0])

    def settled(self, *, boots: int, patience: int = BOOT) -> int:
        """The version that runs when it is no more on trial, after so many more boots at most.

        Each may take `patience` seconds.
        """
        for _ in range(boots):
            try:
                self.wait(patience * boots)
                end = time.monotonic() + BOOT
                while time.monotonic() < end:
                    version, counted = self.run(_STATE).split()
                    if counted == "no":
                        return int(version)
                    time.sleep(2)
            except RebootError:
                continue
        raise FailedError(f"no version was found good in {boots} boots")

    def console(self) -> str:
        """All that it has said, over every boot."""
        return self.running.console() if self.running else ""

    def says(self, text: str, *, times: int = 1, timeout: float = BOOT) -> None:
        """Wait until its console has shown `text` so often. Raises FailedError where it does not."""
        end = time.monotonic() + timeout
        while self.console().count(text) < times:
            self._attend()
            if time.monotonic() > end:
                raise FailedError(f"the console does not say `{text}` {times} times")
            time.sleep(1)

    def entries(self) -> list[str]:
        """The names of the UKIs on the ESP, with their counters."""
        return sorted(set(self.run(_ENTRIES).split()))

    def _attend(self) -> bool:
        """Whether it has power. What its console asks is answered meanwhile."""
        if self.keyboard is not None:
            self.keyboard.attend()
        return self.running is not None and self.running.is_alive()

    def check(self, condition: object, message: str, detail: str = "") -> None:
        """Raises FailedError with `message` where the condition does not hold."""
        if not condition:
            raise FailedError(message, detail=detail)
