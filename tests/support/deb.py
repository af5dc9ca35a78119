"""Make small Debian packages, honest and hostile."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Deb:
    """A package to be made."""

    name: str
    version: str = "1"
    architecture: str = "all"
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Path to content."""
    members: Sequence[tarfile.TarInfo] = ()
    """More members of the data archive, as they are."""
    scripts: Mapping[str, str] = field(default_factory=dict)
    """`postinst` and so on, to their text."""

    @property
    def control(self) -> str:
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": "Nobody <nobody@example.com>",
            "Description": "made for a test",
            **self.fields,
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items())

    def build(self) -> bytes:
        control = {"control": (self.control, 0o644)}
        control |= {name: (text, 0o755) for name, text in self.scripts.items()}
        data = {path.lstrip("/"): (text, 0o644) for path, text in self.files.items()}
        return b"!<arch>\n" + b"".join(
            _member(name, content)
            for name, content in (
                ("debian-binary", b"2.0\n"),
                ("control.tar.gz", _tar(control)),
                ("data.tar.gz", _tar(data, self.members)),
            )
        )


def _member(name: str, content: bytes) -> bytes:
    head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
    return head + content + b"\n" * (len(content) % 2)


def _tar(files: Mapping[str, tuple[str, int]], members: Sequence[tarfile.TarInfo] = ()) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        directories: set[str] = set()
        for path, (text, mode) in files.items():
            parts = path.split("/")[:-1]
            for count in range(1, len(parts) + 1):
                directory = "/".join(parts[:count])
                if directory not in directories:
                    directories.add(directory)
                    info = tarfile.TarInfo(f"./{directory}")
                    info.type, info.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(info)
            info = tarfile.TarInfo(f"./{path}")
            data = text.encode()
            info.size, info.mode, info.mtime = len(data), mode, 1_000_000_000
            archive.addfile(info, io.BytesIO(data))
        for info in members:
            archive.addfile(info)
    return out.getvalue()
