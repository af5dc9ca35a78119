"""The bundle of trusted certificates, as update-ca-certificates(8) would make it."""

from collections.abc import Callable

from osloom.base.digest import Digest
from osloom.model.tree import Node, Tree, with_parents

BUNDLE = "etc/ssl/certs/ca-certificates.crt"
DEFAULT = "usr/lib/ssl/cert.pem"
"""Where OpenSSL looks by itself, `openssl version -d`."""
_SOURCES = ("usr/share/ca-certificates/", "usr/local/share/ca-certificates/")


def with_bundle(tree: Tree, read: Callable[[Digest], bytes], add: Callable[[bytes], Node]) -> Tree:
    """`tree` with the bundle of every certificate that packages and the definition put into it.

    A bundle that is there stays, and where there is no certificate none is made.
    """
    found = [
        read(node.digest)
        for path, node in tree.items()
        if path.startswith(_SOURCES) and path.endswith(".crt") and node.digest is not None
    ]
    if not found or BUNDLE in tree:
        return tree
    whole = b"".join(text if text.endswith(b"\n") else text + b"\n" for text in found)
    made = {BUNDLE: add(whole), DEFAULT: Node("symlink", 0o777, target=f"/{BUNDLE}")}
    return Tree(with_parents({**made, **tree}, mtime=0))
