"""What is on a disk, as people read it."""

from osloom.cli.output import in_bytes, print_table
from osloom.model.disk_report import Report, Slot
from osloom.model.esp import Uki


def print_report(name: str, report: Report) -> None:
    print(f"{name}: {in_bytes(report.size)}, {report.id}\n")
    rows = [
        [
            str(one.number),
            _safe(one.label) or "-",
            one.type,
            one.holds or "-",
            in_bytes(one.size),
            str(one.id),
        ]
        for one in report.partitions
    ]
    print_table(["number", "label", "type", "holds", "size", "id"], rows)
    if report.slots:
        print()
        head = ["slot", "version", "root hash", "signature", "starts by", "blocks"]
        print_table(head, [_slot_row(one) for one in report.slots])
    if report.esp:
        free, size = in_bytes(report.esp.free), in_bytes(report.esp.size)
        print(f"\nESP: {free} of {size} free")
        if report.esp.ukis:
            head = ["UKI", "version", "size", "state", "signature", ""]
            rows = [_uki_row(one, report.esp.default) for one in report.esp.ukis]
            print_table(head, rows)
        for kind, paths in (("entry", report.esp.entries), ("keys", report.esp.keys)):
            for path in paths:
                print(f"{kind}: {_safe(path)}")
    for problem in report.problems:
        print(f"\nproblem: {_safe(problem)}")


def _slot_row(slot: Slot) -> list[str]:
    if slot.version is None or slot.root_hash is None:
        return [slot.name, "(empty)", "-", "-", "-", "-"]
    return [
        slot.name,
        _safe(slot.version),
        f"{slot.root_hash[:16]}…",
        _signature(slot),
        _safe(slot.uki or "nothing") + (" (default)" if slot.is_default else ""),
        slot.check,
    ]


def _signature(slot: Slot) -> str:
    """Whose it says that it is; it is that only where it was verified."""
    if slot.signature is None:
        return "-"
    name = f"{slot.signed_by[:16]}…" if slot.signed_by else "nobody"
    verified = "signed by" if slot.signature_check == "verified" else "names"
    said = "" if slot.signature_check == "verified" else f", {slot.signature_check}"
    return f"{verified} {name}{said}"


def _uki_row(uki: Uki, default: str | None) -> list[str]:
    if uki.tries_left is None:
        state = "good"
    elif uki.tries_left:
        state = f"on trial: {uki.tries_left} left, {uki.tries_done} done"
    else:
        state = f"failed {uki.tries_done} times"
    return [
        _safe(uki.path),
        _safe(uki.version) or "-",
        in_bytes(uki.size),
        state,
        uki.signature,
        "default" if uki.path == default else "",
    ]


def _safe(text: str) -> str:
    """Labels and names are of the disk: nothing of them may reach the terminal as a command."""
    return "".join(one if one.isprintable() else "?" for one in text)
