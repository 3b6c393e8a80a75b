"""The margin of a model as a linear programme over hidden lots: statements `margin` and `excess` (docs/protocol.md, 2.6).

    compiled = compile_margin(statement, requirement, model, attested)       -> CompiledMargin, rows for a bound
    check_work(model, attested, most)                                        ProofError for rows that would take too long

How it is put together, downwards: `work` (what it costs), `compile` (layout) > `version1`, `version2` with `charges`,
`pledges` and `listed` (a model as a convex function of the lots) > `lowering` (integer rows, auxiliaries, their least values) >
`convex` (convex piecewise linear functions). `provable` says without a market what a model's rows would show.
"""

from riskproof.proof.programme.compile import CompiledMargin, compile_margin, compile_statement, least_bound, programme
from riskproof.proof.programme.work import check_work

__all__ = ["CompiledMargin", "check_work", "compile_margin", "compile_statement", "least_bound", "programme"]
