"""The control files of one Debian package, deb-control(5)."""

from osloom.base.digest import Digest
from osloom.model.tree import Tree
from osloom.sources.debian.deb822 import parse_stanza
from osloom.store.blobs import Blobs


class Control:
    """The control files of one package."""

    def __init__(self, tree: Tree, blobs: Blobs) -> None:
        self.tree = tree
        self._blobs = blobs
        self.fields = parse_stanza(self.text("control"))

    @property
    def name(self) -> str:
        return self.fields["Package"]

    @property
    def version(self) -> str:
        return self.fields["Version"]

    @property
    def info_name(self) -> str:
        """How dpkg names the package's files in its database."""
        if self.fields.get("Multi-Arch") == "same":
            return f"{self.name}:{self.fields['Architecture']}"
        return self.name

    def has(self, name: str) -> bool:
        return name in self.tree

    def digest(self, name: str) -> Digest:
        digest = self.tree[name].digest
        assert digest is not None
        return digest

    def text(self, name: str) -> str:
        """A control file's text, empty when there is none."""
        if name not in self.tree:
            return ""
        return self._blobs.read(self.digest(name)).decode(errors="surrogateescape")

    def lines(self, name: str) -> list[str]:
        return [line.strip() for line in self.text(name).splitlines() if line.strip()]
