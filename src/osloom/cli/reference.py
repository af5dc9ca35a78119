"""The reference page of the command line, made from the parser itself."""

import argparse


def page() -> str:
    from osloom.cli.main import parser

    top = parser()
    lines = ["# Command line", "", "Made from the program by `scripts/generate.py`.", ""]
    lines += [f"{top.description} {top.epilog}", ""]
    for action in top._actions:  # noqa: SLF001  (argparse has no other way to list them)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, one in action.choices.items():
                lines += _command(name, one)
    return "\n".join(lines).rstrip() + "\n"


def _command(name: str, parser: argparse.ArgumentParser) -> list[str]:
    lines = [f"## osloom {name}", "", *(parser.description or "").splitlines(), ""]
    lines += ["| argument | meaning |", "| --- | --- |"]
    for action in parser._actions:  # noqa: SLF001
        if not isinstance(action, argparse._HelpAction):  # noqa: SLF001
            lines.append(f"| {_words(action)} | {_meaning(action)} |")
    return [*lines, ""]


def _words(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else ""
    if action.choices:
        value = "\\|".join(str(choice) for choice in action.choices)
    if not action.option_strings:
        return f"`{value}`"
    names = ", ".join(f"`{name}`" for name in action.option_strings)
    return f"{names} `{value}`" if value and action.nargs != 0 else names


def _meaning(action: argparse.Action) -> str:
    return (action.help or "").replace("|", "\\|")
