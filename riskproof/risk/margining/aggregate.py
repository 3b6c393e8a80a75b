"""The aggregate block of a model: from losses, values and charges to equity and margin, as expressions over named numbers.

    "aggregate": {"set": {"worst": {"max": ["loss.regular", "loss.tail", "charge.basis"]}},
                  "account": {"equity": "value.total",
                              "initial": {"sum": [{"mul": ["worst", "1.3"]}, "charge.perpetual"]},
                              "maintenance": {"sum": ["worst", "charge.perpetual"]}}}

An expression is a number ("1.3"), a name, or an object of one operation:

    {"sum": [x, ...]}  {"mul": [x, ...]}  {"min": [x, ...]}  {"max": [x, ...]}
    {"round": {"value": x, "decimals": 9, "mode": "half_even" | "up" | "down"}}

| name | meaning |
|---|---|
| `loss.<group>` | the largest loss of the group's scenarios, negative if all of them gain |
| `value.options`, `value.spot`, `value.receivables`, `value.cash`, `value.total` | present values (assets: what counts); sum |
| `joint.<group>` | the largest loss of the group's scenarios of all netting sets together, gains of a set times `gain_factor` |
| `tail.<id>` | the measure of a netting set's P&L under the joint moves of a set of the `tail` block |
| `joint_tail.<id>` | that of all netting sets together, gains of a set times `gain_factor`; for the account |
| `charge.<id>` | a charge, with its rate for the margin that is asked for |
| `feed.settlement_price` | price of the settlement currency |
| any other | a term of the block |

Terms of `set` are computed for each netting set, those of `account` once; cash belongs to the account. Where an account's
term names something of a set, the sum over the sets is meant. Every term is computed twice, for initial and for
maintenance margin, and only charges differ.
`account` has `equity`, `initial` and `maintenance`; a margin is a requirement, and the excess is equity minus requirement.
What a term's `max` or `min` chose is reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from riskproof import encoding
from riskproof.encoding import Json
from riskproof.errors import EncodingError, ModelError
from riskproof.risk.margining import exact
from riskproof.risk.margining.grid import choice
from riskproof.units import round_half_even

ROOTS: Final = ("equity", "initial", "maintenance")
VALUES: Final = ("options", "spot", "receivables", "cash", "total")
FEEDS: Final = ("settlement_price",)
MAX_TERMS: Final = 128
MAX_ARGUMENTS: Final = 64
MAX_BITS: Final = 1 << 16  # of a term's value; products of products grow without bound
_AMOUNT_BITS: Final = 1 << 10  # what a loss, a charge or a value is taken for
_FOLDS: Final = ("sum", "mul", "min", "max")
_NAME = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")


@dataclass(frozen=True)
class Expression:
    """A node: `op` is "number", "name", "round" or a fold."""

    op: str
    number: Fraction = Fraction(0)
    name: str = ""
    arguments: tuple[Expression, ...] = ()
    decimals: int = 0
    mode: str = ""

    def to_document(self) -> Json:
        if self.op == "number":
            return exact.text(self.number)
        if self.op == "name":
            return self.name
        if self.op == "round":
            return {"round": {"value": self.arguments[0].to_document(), "decimals": self.decimals, "mode": self.mode}}
        return {self.op: [x.to_document() for x in self.arguments]}

    @property
    def label(self) -> str:
        """How a choice names this argument."""
        if self.op in ("number", "name"):
            return str(self.to_document())
        names = [x.label for x in self.arguments]
        return f"{self.op}({', '.join(names)})"

    def names(self) -> list[str]:
        return [self.name] if self.op == "name" else [n for x in self.arguments for n in x.names()]

    def bits(self, sizes: dict[str, int]) -> int:
        """About how long the value gets: a product's arguments together, else the longest; `sizes` of other terms."""
        if self.op == "number":
            return self.number.numerator.bit_length() + self.number.denominator.bit_length()
        if self.op == "name":
            return sizes.get(self.name, _AMOUNT_BITS)
        arguments = [x.bits(sizes) for x in self.arguments]
        return min(sum(arguments), 2 * MAX_BITS) if self.op == "mul" else max(arguments)

    def evaluate(self, lookup: Callable[[str], Fraction]) -> Fraction:
        if self.op == "number":
            return self.number
        if self.op == "name":
            return lookup(self.name)
        values = [x.evaluate(lookup) for x in self.arguments]
        if self.op == "round":
            return _round(values[0], self.decimals, self.mode)
        if self.op == "sum":
            return sum(values, Fraction(0))
        if self.op == "mul":
            product = Fraction(1)
            for value in values:
                product *= value
            return product
        return min(values) if self.op == "min" else max(values)

    def candidates(self, lookup: Callable[[str], Fraction]) -> tuple[tuple[str, Fraction], ...]:
        """(label, value) of a max's or min's arguments."""
        return tuple((x.label, x.evaluate(lookup)) for x in self.arguments) if self.op in ("min", "max") else ()


@dataclass(frozen=True)
class Aggregate:
    """Terms of a netting set and of the account, in an order in which each needs only earlier ones."""

    set_terms: tuple[tuple[str, Expression], ...]
    account_terms: tuple[tuple[str, Expression], ...]

    def to_document(self) -> dict[str, Json]:
        return {
            "set": {name: x.to_document() for name, x in sorted(self.set_terms)},
            "account": {name: x.to_document() for name, x in sorted(self.account_terms)},
        }


def parse(
    node: Json,
    groups: frozenset[str],
    charges: frozenset[str],
    account_charges: frozenset[str] = frozenset(),
    tails: frozenset[str] = frozenset(),
    where: str = "aggregate",
) -> Aggregate:
    """Read the block; `groups` are the scenarios' groups, `charges` the charges' ids, those of the whole account apart,
    `tails` the tail block's sets.

    Raises:
        ModelError, EncodingError: an unknown name, a cycle, a missing root ...; `where` is the member's path.
    """
    m = encoding.members(node, where, ("account",), ("set",))
    blocks: dict[str, dict[str, Expression]] = {}
    for level in ("set", "account"):
        body, at = m.get(level, {}), f"{where}.{level}"
        if not isinstance(body, dict) or len(body) > MAX_TERMS:
            raise ModelError("not an object of terms", where=at, expected=f"at most {MAX_TERMS} terms")
        blocks[level] = {_term(name, at): _expression(x, f"{at}.{name}", 0) for name, x in body.items()}
    for root in ROOTS:
        if root not in blocks["account"]:
            raise ModelError(f"term {root!r} is missing", where=f"{where}.account", expected=", ".join(ROOTS))
        if root in blocks["set"]:
            raise ModelError("the account's term of this name", where=f"{where}.set.{root}", expected="another name")
    for name in blocks["set"].keys() & blocks["account"].keys():
        raise ModelError("a term of the account too", where=f"{where}.set.{name}", expected="one term of a name")
    known = {f"loss.{g}" for g in groups} | {f"charge.{c}" for c in charges}
    known |= {f"tail.{t}" for t in tails}
    known |= {f"value.{v}" for v in VALUES} | {f"feed.{f}" for f in FEEDS}
    for level, terms in blocks.items():
        visible = known | terms.keys()
        if level == "account":
            visible |= blocks["set"].keys() | {f"joint.{g}" for g in groups} | {f"charge.{c}" for c in account_charges}
            visible |= {f"joint_tail.{t}" for t in tails}
        else:
            visible -= {"value.cash", "value.total"}
        for name, x in terms.items():
            for used in x.names():
                if used not in visible:
                    raise ModelError(
                        f"no number {used[:64]!r}",
                        where=f"{where}.{level}.{name}",
                        expected=", ".join(sorted(visible))[:400],
                    )
    found = Aggregate(*(_ordered(blocks[level], f"{where}.{level}") for level in ("set", "account")))
    sizes: dict[str, int] = {}
    for level, ordered in (("set", found.set_terms), ("account", found.account_terms)):
        for name, x in ordered:
            sizes[name] = x.bits(sizes)
            if sizes[name] > MAX_BITS:
                raise ModelError(
                    "a product of too many numbers",
                    where=f"{where}.{level}.{name}",
                    expected=f"at most {MAX_BITS} bits",
                )
    return found


def _term(name: str, where: str) -> str:
    if not 0 < len(name) <= 64 or not _NAME.issuperset(name) or not name[0].isalpha():
        raise ModelError(f"not a term's name: {name[:64]!r}", where=where, expected="a-z, 0-9 and _, a letter first")
    return name


def _expression(node: Json, where: str, depth: int) -> Expression:
    if depth > 16:
        raise ModelError("nested too deeply", where=where, expected="at most 16 levels")
    if isinstance(node, str):
        if node[:1].isdigit() or node[:1] == "-":
            return Expression("number", number=exact.parse(node, where))
        return Expression("name", name=encoding.string(node, where, max_length=96))
    if not isinstance(node, dict) or len(node) != 1:
        raise ModelError(
            "not an expression", where=where, expected="a number, a name, or one of sum, mul, min, max, round"
        )
    op = choice(next(iter(node)), where, *_FOLDS, "round")
    at = f"{where}.{op}"
    if op == "round":
        m = encoding.members(node[op], at, ("value", "decimals", "mode"))
        return Expression(
            op,
            arguments=(_expression(m["value"], f"{at}.value", depth + 1),),
            decimals=encoding.integer(m["decimals"], f"{at}.decimals", low=0, high=18),
            mode=choice(m["mode"], f"{at}.mode", "half_even", "up", "down"),
        )
    arguments = encoding.array(node[op], at, max_length=MAX_ARGUMENTS)
    if not arguments:
        raise EncodingError("nothing to combine", where=at, expected="at least one expression")
    return Expression(op, arguments=tuple(_expression(x, f"{at}[{i}]", depth + 1) for i, x in enumerate(arguments)))


def _ordered(terms: dict[str, Expression], where: str) -> tuple[tuple[str, Expression], ...]:
    order: list[str] = []
    state: dict[str, int] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if state.get(name) == 1:
            cycle = [*path[path.index(name) :], name]
            raise ModelError(
                "a term needs itself: " + " -> ".join(cycle)[:200], where=f"{where}.{name}", expected="no cycle"
            )
        if name in state:
            return
        state[name] = 1
        for used in terms[name].names():
            if used in terms:
                visit(used, (*path, name))
        state[name] = 2
        order.append(name)

    for name in sorted(terms):
        visit(name, ())
    return tuple((name, terms[name]) for name in order)


def _round(value: Fraction, decimals: int, mode: str) -> Fraction:
    scaled = value.numerator * 10**decimals
    if mode == "half_even":
        return Fraction(round_half_even(scaled, value.denominator), 10**decimals)
    return Fraction(scaled // value.denominator if mode == "down" else -(-scaled // value.denominator), 10**decimals)
