"""Whether a file is in a store path, as far as osloom's store knows."""

from osloom.base.errors import UsageError, nearest
from osloom.model.closure import STORE
from osloom.model.lock import Lock
from osloom.model.tree import resolve_links
from osloom.sources.nix.steps import plan_store_path
from osloom.store.store import Store


def check_file(text: str, lock: Lock, store: Store) -> None:
    """Raises UsageError where `text` is a file in a locked store path that has no such file.

    Of a path that was never fetched nothing is known.
    """
    name, _, rest = text.removeprefix(f"{STORE}/").partition("/")
    path = next((one for one in lock.store_paths if one.name == name), None)
    if path is None or not text.startswith(f"{STORE}/") or not rest.strip("/"):
        return
    made = store.results.find(plan_store_path(path).step.key)
    if made is None:
        return
    tree, above = store.load_tree(made.outputs["tree"]), f"{path.path.strip('/')}/"
    wanted = text.strip("/")
    # Where a link leads out of the store path, the file is of another one.
    if wanted in tree or not (found := resolve_links(tree, wanted)).startswith(above):
        return
    if found not in tree:
        names = [one.removeprefix(above) for one in tree if one.startswith(above)]
        close = nearest(rest.strip("/"), names)
        raise UsageError(
            f"cannot explain `{text}`: there is no such file in {path.path}",
            hint=f"did you mean `{path.path}/{close[0]}`?" if close else None,
        )
