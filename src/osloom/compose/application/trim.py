"""What an application does not need of its packages: documentation, translations, completions.

The same patterns in every image, so that a package's layer is the same in all of them. Licences
stay: every package's copyright file, and the common ones they refer to.
"""

from collections.abc import Collection, Mapping

from osloom.base.digest import Digest
from osloom.engine.step import Job, action
from osloom.model.tree import Tree, parents

KINDS = {
    "doc": (
        "usr/share/doc/",
        "usr/share/doc-base/",
        "usr/share/gtk-doc/",
        "usr/share/help/",
        "usr/share/gnome/help/",
    ),
    "man": ("usr/share/man/",),
    "info": ("usr/share/info/",),
    "locale": ("usr/share/locale/",),
    "completions": (
        "usr/share/bash-completion/",
        "usr/share/fish/vendor_completions.d/",
        "usr/share/zsh/vendor-completions/",
        "etc/bash_completion.d/",
    ),
}
"""What `keep` names, to the directories that hold it."""

_NEVER = (
    "etc/update-motd.d/",
    "usr/share/base-files/",
    "usr/share/bug/",
    "usr/share/lintian/",
    "usr/share/linda/",
    "usr/share/menu/",
    "usr/share/reportbug/",
)
"""Of use only to dpkg, to a login or to the packages' maintainers."""


def trimmed(tree: Tree, keep: Collection[str]) -> Tree:
    """`tree` without what is of no use in an application, but what `keep` names of KINDS."""
    gone = (*_NEVER, *(path for kind, paths in KINDS.items() if kind not in keep for path in paths))
    paths = {path for path in tree if path.startswith(gone) and not _is_licence(path)}
    # A hard link or a directory that is still needed keeps what it stands on.
    kept = [path for path in tree if path not in paths and tree[path].kind != "dir"]
    needed = {parent for path in kept if path.startswith(gone) for parent in parents(path)}
    return tree.without(sorted(paths - needed))


@action(version=1, light=True)
def trim(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` as an application would have it."""
    return {"tree": job.store.add_tree(trimmed(job.tree(), ()))}


def _is_licence(path: str) -> bool:
    return path.startswith("usr/share/doc/") and path.endswith("/copyright")
