"""Look after the store: what it holds, what can go, whether it is whole.

Everything in the store can be made again; removing it costs time, never work.
"""

import argparse

from osloom.cli.context import store_of
from osloom.cli.output import in_bytes, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("info", "prune", "verify"))
    parser.add_argument(
        "--days",
        type=float,
        default=30,
        metavar="DAYS",
        help="prune: remove what was not used for so long; 0 removes everything (default: 30)",
    )


def run(arguments: argparse.Namespace) -> int:
    from osloom.store import collect

    store = store_of(arguments)
    match arguments.action:
        case "info":
            found = collect.usage(store)
            if arguments.json:
                print_json({"path": str(store.root), "usage": found})
            else:
                print(f"store    {store.root}")
                print(f"blobs    {found.blobs}, {in_bytes(found.blob_bytes)}")
                print(f"results  {found.results}")
                print(f"roots    {found.roots}")
                print(f"partial  {in_bytes(found.partial_bytes)}")
                if found.nix_bytes:
                    print(f"nix      {in_bytes(found.nix_bytes)}")
        case "prune":
            gone = collect.prune(store, days=arguments.days)
            if arguments.json:
                print_json(gone)
            else:
                print(
                    f"removed {gone.results} results and {gone.blobs} blobs: "
                    f"{in_bytes(gone.freed)} freed"
                )
        case _:
            damaged = collect.verify(store)
            if arguments.json:
                print_json({"damaged": damaged})
            else:
                for digest in damaged:
                    print(f"damaged and removed: {digest}")
                print(f"{len(damaged)} damaged" if damaged else "every blob is whole")
    return 0
