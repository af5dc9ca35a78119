"""Bars as SVG: the same bytes for the same figures."""

from collections.abc import Mapping
from html import escape

_ROW, _LEFT, _WIDTH = 34, 300, 420


def bars(title: str, values: Mapping[str, int]) -> str:
    """One bar a value, in bytes; written as MiB."""
    height = _ROW * (len(values) + 1) + 10
    most = max(values.values())
    box = f'viewBox="0 0 {_LEFT + _WIDTH + 110} {height}" font-family="sans-serif" font-size="14"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>',
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="10" y="22" font-weight="bold">{escape(title)}</text>',
    ]
    for number, (name, value) in enumerate(values.items()):
        top = _ROW * (number + 1)
        width = max(round(_WIDTH * value / most), 1)
        fill = "#2b6cb0" if number == 0 else "#a0aec0"
        lines += [
            f'<text x="{_LEFT - 10}" y="{top + 19}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{top + 4}" width="{width}" height="22" fill="{fill}"/>',
            f'<text x="{_LEFT + width + 8}" y="{top + 19}">{value / 2**20:.1f}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
