"""Print shell completions: source them, or put them where your shell looks."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def run(arguments: argparse.Namespace) -> int:
    import shtab

    from osloom.cli.main import parser

    print(shtab.complete(parser(), shell=arguments.shell))
    return 0
