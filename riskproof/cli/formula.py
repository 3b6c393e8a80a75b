"""Members of a model document as one line: expressions as formulas, small objects as name: value."""

from __future__ import annotations

import json

from riskproof.encoding import Json

_FOLDS = {"sum": " + ", "mul": " x "}


def formula(node: Json) -> str | None:
    """A line for a member: `max(loss.regular, loss.tail) x 1.3`, `initial: 0.05, maintenance: 0.03`; None for what needs more."""
    if isinstance(node, str):
        return node
    if isinstance(node, list):
        parts = [formula(x) for x in node]
        return None if any(p is None for p in parts) else ", ".join(p for p in parts if p is not None)
    if not isinstance(node, dict):
        return json.dumps(node)
    if len(node) == 1:
        text = _operation(*next(iter(node.items())))
        if text is not None:
            return text
    parts = [formula(x) for x in node.values()]
    if any(p is None for p in parts):
        return None
    return ", ".join(f"{n}: {p}" if _flat(x) else f"{n}: ({p})" for (n, x), p in zip(node.items(), parts, strict=True))


def _flat(node: Json) -> bool:
    """Whether a value needs no brackets: it is plain, or an operation."""
    if isinstance(node, dict) and len(node) == 1:
        return _operation(*next(iter(node.items()))) is not None
    return not isinstance(node, (dict, list))


def _operation(op: str, body: Json) -> str | None:
    """An expression of the aggregate block, or None if this is none."""
    if op == "round" and isinstance(body, dict) and "value" in body:
        return f"round({formula(body['value'])}, {body.get('decimals')} decimals, {body.get('mode')})"
    if not isinstance(body, list):
        return None
    parts = [formula(x) or "" for x in body]
    if op in ("min", "max"):
        return f"{op}({', '.join(parts)})"
    if op not in _FOLDS:
        return None
    if op == "mul":
        nested = [isinstance(x, dict) and "sum" in x for x in body]
        parts = [f"({p})" if inner else p for p, inner in zip(parts, nested, strict=True)]
    return _FOLDS[op].join(parts)
