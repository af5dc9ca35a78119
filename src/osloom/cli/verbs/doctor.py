"""Check this host: what osloom needs, what is missing, and the mend."""

import argparse

from osloom.cli.output import print_json


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    pass


def run(arguments: argparse.Namespace) -> int:
    from osloom.api.project import default_store
    from osloom.run.doctor import examine

    findings = list(examine(arguments.store or default_store()))
    if arguments.json:
        print_json(findings)
    else:
        for one in findings:
            print(f"{'ok  ' if one.good else 'FAIL'}  {one.name}: {one.message}")
            if not one.good:
                print(f"      mend: {one.mend}")
    return 0 if all(one.good for one in findings) else 1
