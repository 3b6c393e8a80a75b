"""The margin of a model as a linear programme over hidden lots: statements `margin` and `excess` (docs/protocol.md, 2.6).

    compiled = compile_margin(statement, requirement, model, attested)       -> CompiledMargin, rows for a bound

How it is put together, downwards: `compile` (layout) > `version1`, `version2` with `charges` (a model as a convex function of the
lots) > `lowering` (integer rows, auxiliaries, their least values) > `convex` (convex piecewise linear functions).
"""

from riskproof.proof.programme.compile import CompiledMargin, compile_margin, compile_statement, least_bound, programme

__all__ = ["CompiledMargin", "compile_margin", "compile_statement", "least_bound", "programme"]
