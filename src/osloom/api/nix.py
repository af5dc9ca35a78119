"""The Nix that evaluates what images take from flakes: this host's, or that of a locked image."""

from osloom.api.project import Project
from osloom.api.requests import NIX
from osloom.api.session import Session
from osloom.base.progress import Reporter
from osloom.compose.plan import plan_files
from osloom.model.lock import Lock
from osloom.sources.nix.program import Nix, find_host_nix, own_nix
from osloom.sources.nix.settings import load_settings
from osloom.store.store import Store


def find_nix(project: Project, lock: Lock, store: Store, report: Reporter) -> Nix:
    """Nix of this host, or else of the image `.nix` of `lock`, which is fetched for it."""
    host = find_host_nix()
    if host is not None:
        return host
    with Session(project, lock, store, report) as session:
        (tree,) = session.make([plan_files("nix", lock.packages_of(NIX))])
    return own_nix(store.checkout(tree), store, load_settings())
