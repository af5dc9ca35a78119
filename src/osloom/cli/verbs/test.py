"""Boot what was built and run the definition's tests in it.

Every output that can run is started once: disks in a virtual machine, containers in the sandbox.
A machine says itself when it is up; nothing is put into the image for that.
"""

import argparse
import time
from pathlib import Path

from osloom.cli.context import now, project_of, session_of
from osloom.cli.output import in_seconds, print_json, print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="all with outputs by default")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a JUnit XML report")
    parser.add_argument(
        "--scenario",
        action="append",
        metavar="NAME",
        help="try an appliance in an emulated device instead: update, panic, health, hang …",
    )
    parser.add_argument(
        "--logs", type=Path, metavar="DIRECTORY", help="for consoles of failed boots; dist/logs"
    )


def run(arguments: argparse.Namespace) -> int:
    from osloom.api.project import OUTPUT
    from osloom.api.test import Place, test
    from osloom.run.report import has_failed, junit

    project = project_of(arguments)
    images = project.chosen(tuple(arguments.images))
    logs: Path = arguments.logs or project.directory / OUTPUT / "logs"
    start = time.monotonic()
    with session_of(arguments, project) as session:
        if arguments.scenario:
            from osloom.api.scenarios.run import run_scenarios

            cases = [
                case
                for name in images
                for case in run_scenarios(
                    session, name, arguments.scenario, logs.absolute(), now=now()
                )
            ]
        else:
            cases = test(session, images, Place(logs=logs.absolute()))
    if arguments.junit:
        arguments.junit.write_bytes(junit(cases))
    if arguments.json:
        print_json(cases)
        return int(has_failed(cases))
    rows = [
        [case.image, case.output, case.name, case.verdict, in_seconds(case.seconds)]
        for case in cases
    ]
    print_table(["image", "output", "test", "verdict", "time"], rows)
    for case in cases:
        if case.message:
            print(f"\n{case.image} {case.output}, {case.name}: {case.verdict}, {case.message}")
            if case.detail:
                print("\n".join(f"  {line}" for line in case.detail.strip().splitlines()[-40:]))
    passed = sum(case.verdict == "passed" for case in cases)
    failed = sum(case.verdict == "failed" for case in cases)
    skipped = len(cases) - passed - failed
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped", end="")
    print(f" in {in_seconds(time.monotonic() - start)}")
    return int(has_failed(cases))
