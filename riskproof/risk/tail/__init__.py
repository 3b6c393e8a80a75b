"""Tail risk: value at risk and expected shortfall of a book under joint moves of prices and volatilities, exact in integers.

docs/tail-risk.md is the specification. One path carries every method: joint moves are integers, the kernel revalues every
instrument under each of them (an ordinary risk array), a book's P&L is the exact sum over its lots, and the measure is exact on
those integers.

    history        History: levels of prices and at-the-money volatilities, one row a day, no gaps; a document with a digest
    history_csv    import_closes, import_surface: histories from CSV files
    moves          Moves: joint moves as integer ratios; plain and filtered historical simulation
    revaluation    tail_array, book_pnl: full revaluation through the kernel
    measures       value_at_risk, expected_shortfall, liquidity_cascade: exact on integers and rational weights
    methods        how the scenario sets of a model come about
    model          TailModel: scenario sets, measure, liquidity horizons as one document
    evaluate       evaluate_tail: the requirement on a book; model_array: the public risk array
    backtest       coverage (Kupiec, Christoffersen), rolling backtests
    roots          square roots of rational numbers, to an integer
    linear         exact rational linear algebra: whether a matrix is positive semi-definite, its Cholesky factor
    correlation    Correlation: volatilities and correlations as a document; floors, ceilings, stress, worst case over intervals
    estimators     covariance by numpy and scikit-learn (exponentially weighted, shrunk), as a correlation document
    simulation     joint moves by Monte Carlo (Philox4x64-10) and by common and idiosyncratic shocks
    parametric     delta-normal and delta-gamma (Cornish-Fisher)

Import the modules; this package imports nothing.
"""
