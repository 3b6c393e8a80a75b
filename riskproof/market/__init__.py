"""Public market data: the instrument registry, the market snapshot, books, and importers of venues' files.

    registry    append-only list of instruments; an instrument's index never changes
    snapshot    prices, forwards, volatilities, index prices and rates at one instant, for one registry version
    marketfile  the two together, as one canonical file
    portfolio   a client's book: lots by registry index
    importers   Deribit's JSON, chain CSV, futures and perpetuals CSV
    sample      a generated market for demonstrations and tests

Pure Python: nothing here needs numpy or numba.
"""
