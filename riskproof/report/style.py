"""The page's style sheet."""

from __future__ import annotations

from typing import Final

_BASE: Final = """
:root { color-scheme: light; }
body { font: 14px/1.45 system-ui, sans-serif; color: #1b1f24; margin: 0 auto; max-width: 1500px; padding: 1rem 1.5rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p { max-width: 60rem; } .quiet { color: #59636e; } code { font-size: .92em; overflow-wrap: anywhere; }
nav a { margin-right: 1rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .4rem 0; }
th, td { padding: .18rem .55rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #e3e6ea; }
th:first-child, th[scope=row] { text-align: left; } th { font-weight: 600; } th[scope=row] { font-weight: 400; }
tr.binds th, tr.binds td { font-weight: 700; background: #fff4d6; }
.heat { font-size: 11px; } .heat th, .heat td { padding: .1rem .35rem; }
.heat th[scope=row] { position: sticky; left: 0; background: #fff; }
.heat th.binds { background: #1b1f24; color: #fff; } .heat td.b { border-left: 2px solid #1b1f24; border-right: 2px solid #1b1f24; }
.heat th[scope=colgroup] { text-align: left; } .heat th.bound { background: #fff4d6; }
.heat th.s, .heat td.s { border-left: 3px double #1b1f24; }
.heat .total th, .heat .total td { font-weight: 700; border-bottom: 2px solid #1b1f24; }
.heat .underlying th { font-weight: 700; } .heat .position th[scope=row] { padding-left: 1.6rem; }
.heat .expiry th[scope=row] { padding-left: 1rem; font-weight: 600; }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; }
.card { border: 1px solid #d1d6dc; border-radius: 6px; padding: .5rem .9rem; }
.card b { display: block; font-size: 1.2rem; font-variant-numeric: tabular-nums; } .short { color: #b42318; }
@media print { body { max-width: none; } .scroll { overflow: visible; } }
"""


def _shade(red: int, green: int, blue: int, depth: int, levels: int) -> str:
    """White towards a colour."""
    return "#" + "".join(f"{255 - (255 - c) * depth // levels:02x}" for c in (red, green, blue))


def stylesheet(levels: int) -> str:
    """The whole sheet, with the colours of the heat maps."""
    rules = []
    for depth in range(1, levels + 1):
        ink = ";color:#fff" if depth > levels - 2 else ""
        rules.append(f".l{depth}{{background:{_shade(190, 30, 45, depth, levels)}{ink}}}")
        rules.append(f".g{depth}{{background:{_shade(20, 110, 80, depth, levels)}{ink}}}")
    return _BASE + "\n".join(rules) + "\n"
