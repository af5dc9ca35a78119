"""What of a service an image cannot hold, said in sentences, with what to do instead."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from osloom.compose.application.units.command import Command
from osloom.compose.application.units.file import Unit, is_true, split_words

_DEFAULT_CAPABILITIES = {
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"),
    *("NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
}
"""What container engines leave to root of themselves."""

_CONFINING = (
    *("Protect", "Restrict", "SystemCall", "ReadOnly", "ReadWrite", "Inaccessible", "NoExec"),
    *("Exec", "PrivateTmp", "PrivateDevices", "PrivateUsers", "PrivateMounts", "PrivateNetwork"),
    *(
        "PrivateIPC",
        "PrivatePIDs",
        "LockPersonality",
        "MemoryDeny",
        "NoNewPrivileges",
        "ProcSubset",
    ),
    *(
        "RemoveIPC",
        "DevicePolicy",
        "DeviceAllow",
        "CapabilityBoundingSet",
        "SecureBits",
        "IPAddress",
    ),
    *("KeyringMode", "AppArmorProfile", "SELinuxContext", "SmackProcessLabel", "SocketBind"),
)
"""How the names of the settings begin that confine a service."""

_HARMLESS = {
    *("Type", "ExecStart", "User", "Group", "SupplementaryGroups", "DynamicUser", "Environment"),
    *("EnvironmentFile", "UnsetEnvironment", "WorkingDirectory", "KillSignal", "KillMode"),
    *("ExecStartPre", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost", "ExecCondition"),
    *("AmbientCapabilities", "Sockets", "PIDFile", "NotifyAccess", "GuessMainPID", "BusName"),
    *("RemainAfterExit", "SendSIGKILL", "SendSIGHUP", "FinalKillSignal", "WatchdogSignal"),
    *("RestartKillSignal", "WatchdogSec", "FileDescriptorStoreMax", "SyslogIdentifier"),
    *("SyslogFacility", "SyslogLevel", "SyslogLevelPrefix", "LogLevelMax", "LogNamespace"),
    *("StandardOutput", "StandardError", "TimeoutStartSec", "TimeoutSec", "TimeoutAbortSec"),
    *("RestartSec", "RestartSteps", "RestartMaxDelaySec", "RestartPreventExitStatus"),
    *("RestartForceExitStatus", "SuccessExitStatus", "StartLimitInterval", "StartLimitBurst"),
    *("StartLimitIntervalSec", "Slice", "Delegate", "OOMPolicy", "CPUAccounting", "IOAccounting"),
    *("MemoryAccounting", "TasksAccounting", "IPAccounting", "RuntimeDirectoryPreserve"),
    *("IgnoreSIGPIPE", "NonBlocking", "CoredumpFilter", "LimitCORE", "TasksMax", "ReloadSignal"),
    *(
        "PermissionsStartOnly",
        "RootDirectoryStartOnly",
        "TimeoutStartFailureMode",
        "SetLoginEnvironment",
    ),
    *("TimeoutStopFailureMode", "DefaultDependencies", "RuntimeMaxSec", "ManagedOOMPreference"),
    *(
        f"{kind}Directory{mode}"
        for kind in ("State", "Cache", "Logs", "Runtime", "Configuration")
        for mode in ("", "Mode")
    ),
}
"""Carried over, or without a meaning where one program runs alone."""

_ADVICE = {
    "BindPaths": "mount them with `--volume`",
    "BindReadOnlyPaths": "mount them with `--volume`",
    "TemporaryFileSystem": "mount it with `--tmpfs`",
    "RootDirectory": "let the image be that root",
    "RootImage": "let the image be that root",
    "LoadCredential": "mount them, and set CREDENTIALS_DIRECTORY",
    "LoadCredentialEncrypted": "mount them, and set CREDENTIALS_DIRECTORY",
    "SetCredential": "mount them, and set CREDENTIALS_DIRECTORY",
    "ImportCredential": "mount them, and set CREDENTIALS_DIRECTORY",
    "PAMName": "the program gets no session of PAM",
    "PassEnvironment": "pass them with `--env`",
    "StandardInput": "give the container the streams it needs",
    "UMask": "see that nobody else can reach the files it makes",
    "Restart": "pass `--restart`",
}
"""What to do instead of a setting."""

_WHEN = {
    "ExecCondition": "to decide whether it starts",
    "ExecStartPre": "before it starts",
    "ExecStartPost": "after it has started",
    "ExecStop": "to stop it",
    "ExecStopPost": "after it has stopped",
}

UNRUN = (*_WHEN, "ExecReload")
"""The settings whose commands nobody runs in a container."""

_CHECKS = {"-t", "-T", "--test", "test", "checkconfig", "configtest", "conf-check", "validate"}


def leftover_notes(
    unit: Unit,
    *,
    user: str | None,
    commands: Mapping[str, Sequence[Command]],
    sockets: Sequence[str],
    read: Callable[[str], str | None],
    expand: Callable[[str], str],
) -> Iterator[str]:
    """One sentence for each thing left behind; the engine's options are gathered in two.

    `commands` has, by their setting, the commands that nobody will run.
    """
    for key, when in _WHEN.items():
        left = [one for one in commands.get(key, ()) if key != "ExecStartPre" or not _checks(one)]
        yield from _not_run(when, left)
    yield from _reloaded(commands.get("ExecReload", ()))
    yield from _conditions(unit, read, expand)
    yield from _required(unit, sockets)
    yield from _capabilities(unit, user)
    yield from _limits(unit)
    yield from _confined(unit)
    yield from _others(unit)


def _checks(command: Command) -> bool:
    return bool(_CHECKS & set(command.words[1:]))


def _not_run(when: str, commands: Sequence[Command]) -> Iterator[str]:
    if commands:
        listed = "`, `".join(str(command) for command in commands)
        verb = "does" if len(commands) == 1 else "do"
        yield f"`{listed}` {verb} not run {when}: do in the image, or in the entrypoint, what of it is needed"


def _reloaded(commands: Sequence[Command]) -> Iterator[str]:
    for command in commands:
        if command.program == "kill" and len(command.words) > 1:
            signal = command.words[1 if len(command.words) == 2 else -2].lstrip("-")
            yield f"to reload the service, send its container the signal: `kill --signal={signal}`"
            return
    left = [command for command in commands if not _checks(command)]
    if left:
        yield f"to reload the service, run `{left[-1]}` in its container with `exec`"


def _conditions(
    unit: Unit, read: Callable[[str], str | None], expand: Callable[[str], str]
) -> Iterator[str]:
    for kind in ("ConditionPathExists", "AssertPathExists", "ConditionFileNotEmpty"):
        for value in unit.values("Unit", kind):
            path = expand(value)
            if path.startswith("/") and not read(path):
                yield f"the unit starts only where {path} is, and the image has no such file: add it"


def _required(unit: Unit, sockets: Sequence[str]) -> Iterator[str]:
    others = {
        word
        for key in ("Requires", "BindsTo", "Requisite")
        for value in unit.values("Unit", key)
        for word in split_words(value)
        if word.endswith((".service", ".socket")) and word not in sockets
        if not word.startswith("systemd-")
    }
    for other in sorted(others):
        yield f"the service requires {other}: run that in a container of its own, or do without"


def _capabilities(unit: Unit, user: str | None) -> Iterator[str]:
    needed = sorted(_capability_words(unit, "Unit", "ConditionCapability") - _DEFAULT_CAPABILITIES)
    for one in needed:
        yield f"the service starts only where it has CAP_{one}: pass `--cap-add={one}`"
    if user is None:
        return
    wanted = sorted(_capability_words(unit, "Service", "AmbientCapabilities"))
    if "NET_BIND_SERVICE" in wanted:
        yield (
            f"`{user}` may bind to ports below 1024 (AmbientCapabilities=): an image cannot allow "
            "that, pass `--sysctl=net.ipv4.ip_unprivileged_port_start=0` where the engine does "
            "not do so itself, or choose a port above"
        )
    others = [one for one in wanted if one != "NET_BIND_SERVICE"]
    if others:
        options = " ".join(f"--cap-add={one}" for one in others)
        yield f"the unit gives `{user}` capabilities, an image cannot: pass `{options}`"


def _capability_words(unit: Unit, section: str, key: str) -> set[str]:
    words = {word for value in unit.values(section, key) for word in split_words(value)}
    return {word.removeprefix("CAP_") for word in words if word.startswith("CAP_")}


def _limits(unit: Unit) -> Iterator[str]:
    options = []
    for key in unit.keys("Service"):
        value = unit.value("Service", key) or ""
        number = "-1" if value == "infinity" else value
        match key:
            case "Restart" if value != "no":
                options.append("--restart=" + ("always" if value == "always" else "on-failure"))
            case "TimeoutStopSec" if value.removesuffix("s").isdigit() and value != "0":
                options.append(f"--stop-timeout={value.removesuffix('s')}")
            case "OOMScoreAdjust":
                options.append(f"--oom-score-adj={value}")
            case "MemoryMax" | "MemoryLimit" if value != "infinity" and "%" not in value:
                options.append(f"--memory={value.lower()}")
            case _ if key.startswith("Limit") and key != "LimitCORE":
                options.append(f"--ulimit={key[5:].lower()}={number}")
    if options:
        listed = " ".join(options)
        yield f"restarting and limits are the container engine's: pass `{listed}`"


def _confined(unit: Unit) -> Iterator[str]:
    keys = [
        key
        for key in dict.fromkeys(name for where, name, _ in unit.assignments if where == "Service")
        if key.startswith(_CONFINING) and not key.startswith("ExecSt") and key not in _HARMLESS
    ]
    options = list(_confinement(unit, keys))
    others = [key for key in keys if key not in _TOLD]
    if not keys:
        return
    told = f"pass `{' '.join(options)}` to the container engine" if options else ""
    untold = ""
    if others:
        more = f"`{others[0]}=`" + (f" and {len(others) - 1} more" if len(others) > 1 else "")
        untold = f"the engine's own confinement stands for {more}"
    yield "the unit confines the service: " + "; ".join(part for part in (told, untold) if part)


_TOLD = {"NoNewPrivileges", "CapabilityBoundingSet", "PrivateNetwork"}


def _confinement(unit: Unit, keys: Sequence[str]) -> Iterator[str]:
    if is_true(unit.value("Service", "NoNewPrivileges")):
        yield "--security-opt=no-new-privileges"
    if unit.value("Service", "ProtectSystem") == "strict":
        yield "--read-only"
    if is_true(unit.value("Service", "PrivateNetwork")):
        yield "--network=none"
    if "CapabilityBoundingSet" in keys:
        yield from _bounding(unit)


def _bounding(unit: Unit) -> Iterator[str]:
    """Options that leave of the engine's default capabilities those of the bounding set."""
    values = unit.values("Service", "CapabilityBoundingSet")
    kept = _DEFAULT_CAPABILITIES if values and values[0].startswith("~") else set[str]()
    for value in values:
        named = {word.removeprefix("CAP_") for word in split_words(value.removeprefix("~"))}
        kept = kept - named if value.startswith("~") else kept | (named & _DEFAULT_CAPABILITIES)
    dropped = sorted(_DEFAULT_CAPABILITIES - kept)
    if len(dropped) > len(kept):
        yield "--cap-drop=all"
        yield from (f"--cap-add={one}" for one in sorted(kept))
    else:
        yield from (f"--cap-drop={one}" for one in dropped)


def _others(unit: Unit) -> Iterator[str]:
    unknown = []
    for key in unit.keys("Service"):
        if key in _HARMLESS or key.startswith((*_CONFINING, "Limit", "X-")):
            continue
        if key in ("Restart", "TimeoutStopSec", "OOMScoreAdjust", "MemoryMax", "MemoryLimit"):
            continue
        value = unit.value("Service", key)
        if key in _ADVICE:
            if key == "StandardInput" and value == "null":
                continue
            yield f"`{key}={value}` is not carried over: {_ADVICE[key]}"
        else:
            unknown.append(f"`{key}=`")
    if unknown:
        yield f"{', '.join(unknown)} of the unit is not carried over: see whether it matters"
