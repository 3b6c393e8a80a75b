"""Requirements as convex piecewise linear functions of the lots: a margin model before it becomes rows.

A requirement is an `Affine`: a constant, exact coefficients on the lots, and weights on `Node`s, which are convex functions of
other affine expressions:

    Maximum      max_k a_k
    Discounted   -(long V^+ - short V^-)     what a discounted value costs, long <= short: a gain counts less than a loss
    Shortfall    min_t t + 1/K sum_s w_s max(0, a_s - t)      expected shortfall: the mean of the worst losses of weight K
    Rounded      a, rounded by an operation of the model
    IfHeld       a, which counts only if some of what it is about is held: whether that is so is not known
    Unknown      what has no bound from above that would be of use, at least a

It is convex, and so provable by a certificate, if every weight on a node is not negative. `convex` replaces what is not by a bound
from above where there is one (a model's `min` is at most its first argument), and refuses the rest with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from riskproof.errors import ProofError

_ZERO = Fraction(0)


@dataclass(frozen=True, eq=False)
class Affine:
    """constant + sum_i positions[i] q_i + sum_k weights[k] node_k, in the numeraire; q in lots.

    Attributes:
        positions: by place among the lots.
        nodes: (node, weight), each node once.
    """

    constant: Fraction = _ZERO
    positions: dict[int, Fraction] = field(default_factory=dict)
    nodes: tuple[tuple[Node, Fraction], ...] = ()

    @property
    def is_constant(self) -> bool:
        return not self.positions and not self.nodes

    @property
    def is_nonnegative(self) -> bool:
        """True if it cannot be negative, by its form."""
        return self.constant >= 0 and not self.positions and all(w >= 0 and n.is_nonnegative for n, w in self.nodes)

    def __add__(self, other: Affine) -> Affine:
        return total((self, other))

    def __sub__(self, other: Affine) -> Affine:
        return total((self, -other))

    def __neg__(self) -> Affine:
        return Affine(-self.constant, {i: -c for i, c in self.positions.items()}, tuple((n, -w) for n, w in self.nodes))

    def times(self, factor: Fraction) -> Affine:
        if not factor:
            return Affine()
        if factor == 1:
            return self
        return Affine(
            self.constant * factor,
            {i: c * factor for i, c in self.positions.items()},
            tuple((n, w * factor) for n, w in self.nodes),
        )


def total(parts: Iterable[Affine]) -> Affine:
    """The sum; what cancels is gone."""
    constant, positions, weights = _ZERO, dict[int, Fraction](), dict[Node, Fraction]()
    for part in parts:
        constant += part.constant
        if not positions:
            positions.update(part.positions)
        else:
            for i, c in part.positions.items():
                positions[i] = positions[i] + c if i in positions else c
        for n, w in part.nodes:
            weights[n] = weights.get(n, _ZERO) + w
    return Affine(
        constant,
        {i: positions[i] for i in sorted(positions) if positions[i]},
        tuple((n, w) for n, w in weights.items() if w),
    )


@dataclass(frozen=True, eq=False)
class Node:
    """A convex function; two nodes are the same only if they are one object.

    Attributes:
        name: for messages and names of rows.
    """

    name: str

    @property
    def is_nonnegative(self) -> bool:
        return False


@dataclass(frozen=True, eq=False)
class Maximum(Node):
    """The largest of its arguments. With `credit`, its negative may be bounded by that of its first argument.

    `size` says that the arguments are a and -a; `fine`, that weights on it are large, a price say, so that it needs more digits.
    """

    arguments: tuple[Affine, ...]
    credit: bool = False
    size: bool = False
    fine: bool = False

    @property
    def is_nonnegative(self) -> bool:
        return self.size or any(a.is_nonnegative for a in self.arguments)


@dataclass(frozen=True, eq=False)
class Discounted(Node):
    """-(long V^+ - short V^-), 0 <= long <= short."""

    value: Affine
    long: Fraction
    short: Fraction


@dataclass(frozen=True, eq=False)
class Shortfall(Node):
    """Mean of the worst losses of weight `mass` together, the last of them in part."""

    losses: tuple[Affine, ...]
    weights: tuple[int, ...]
    mass: Fraction


@dataclass(frozen=True, eq=False)
class Rounded(Node):
    """`argument` rounded by `operation`; at most `above` over it and `below` under it."""

    argument: Affine
    above: Fraction
    below: Fraction
    operation: Callable[[Fraction], Fraction]


@dataclass(frozen=True, eq=False)
class IfHeld(Node):
    """`argument`, or zero where nothing of it is held; it is then `rest`, not zero."""

    argument: Affine
    rest: Fraction


@dataclass(frozen=True, eq=False)
class Unknown(Node):
    """Something that is at least `least`, and of which nothing else is used."""

    least: Affine


def weighted(node: Node, weight: Fraction = Fraction(1)) -> Affine:
    return Affine(nodes=((node, weight),)) if weight else Affine()


def maximum(name: str, arguments: Sequence[Affine], *, credit: bool = False) -> Affine:
    """max of affine expressions; a number if they all are."""
    if all(a.is_constant for a in arguments):
        return Affine(max(a.constant for a in arguments))
    return arguments[0] if len(arguments) == 1 else weighted(Maximum(name, tuple(arguments), credit))


def magnitude(name: str, a: Affine, *, fine: bool = False) -> Affine:
    """|a|."""
    return Affine(abs(a.constant)) if a.is_constant else weighted(Maximum(name, (a, -a), size=True, fine=fine))


def at_rest(a: Affine) -> Fraction:
    """The value of an expression of one netting set if nothing is held."""
    return a.constant + sum((w * _node_at_rest(n) for n, w in a.nodes), _ZERO)


def _node_at_rest(node: Node) -> Fraction:
    if isinstance(node, Maximum):
        return max(map(at_rest, node.arguments))
    if isinstance(node, Rounded):
        return node.operation(at_rest(node.argument))
    if isinstance(node, Shortfall):
        if any(map(at_rest, node.losses)):
            raise AssertionError("nothing loses nothing")
        return _ZERO
    if isinstance(node, (Discounted, Unknown)):
        return _ZERO
    raise AssertionError("no node of a netting set")


def convex(requirement: Affine) -> tuple[Affine, tuple[str, ...]]:
    """A convex requirement that is at least the given one, and what had to be bounded, in words; () if nothing: they are equal.

    Raises:
        ProofError: a part enters as a credit and has no bound; names it.
    """
    known: dict[Node, Node] = {}
    notes: list[str] = []

    def note(text: str) -> None:
        if text not in notes:
            notes.append(text)

    def above(a: Affine) -> Affine:
        parts = [Affine(a.constant, a.positions)]
        for node, weight in a.nodes:
            if isinstance(node, Rounded):
                note(f"{node.name} is rounded: it counts at its largest")
                error = node.above if weight > 0 else node.below
                parts.append(above(node.argument.times(weight) + Affine(error * abs(weight))))
            elif isinstance(node, IfHeld):
                error = max(_ZERO, -node.rest if weight > 0 else node.rest)
                note(f"{node.name} is not zero without positions: it counts at its largest, held or not")
                parts.append(above(node.argument.times(weight) + Affine(error * abs(weight))))
            elif isinstance(node, Unknown):
                if weight > 0:
                    raise ProofError(
                        f"{node.name} is not convex", where="model", expected="a requirement with it only as a credit"
                    )
                note(f"{node.name} is a credit that is not convex: it counts as little as it can")
                parts.append(above(node.least.times(weight)))
            elif weight > 0:
                parts.append(weighted(inner(node), weight))
            elif isinstance(node, Maximum) and node.credit:
                first = node.arguments[0]
                note(
                    f"{node.name} is a credit that is not convex: it counts as nothing"
                    if first.is_constant and not first.constant
                    else f"{node.name} is the better of several, which is not convex: its first one counts"
                )
                parts.append(above(first.times(weight)))
            else:
                raise ProofError(
                    f"{node.name} enters as a credit: the requirement is not convex",
                    where="model",
                    expected="credits that are linear in the positions, or a min whose first argument is no credit",
                )
        return total(parts)

    def inner(node: Node) -> Node:
        if node not in known:
            if isinstance(node, Maximum):
                known[node] = Maximum(
                    node.name, tuple(above(a) for a in _flattened(node)), size=node.size, fine=node.fine
                )
            elif isinstance(node, Shortfall):
                known[node] = Shortfall(node.name, tuple(above(a) for a in node.losses), node.weights, node.mass)
            elif isinstance(node, Discounted):
                if node.value.nodes:
                    raise AssertionError("values of positions are linear")
                known[node] = node
            else:
                raise AssertionError("no node of this kind")
        return known[node]

    return above(requirement), tuple(notes)


def _flattened(node: Maximum) -> list[Affine]:
    """Arguments, with those of a maximum that is an argument in its place."""
    arguments: list[Affine] = []
    for a in node.arguments:
        if len(a.nodes) == 1 and not a.positions and not a.constant:
            ((other, weight),) = a.nodes
            if weight == 1 and isinstance(other, Maximum) and len(other.arguments) > 1:
                arguments += _flattened(other)
                continue
        arguments.append(a)
    return arguments
