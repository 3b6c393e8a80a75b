"""Importers of venues' files: bytes in, a `Market` out; no I/O.

    names         Deribit's instrument names, read and written
    listing       in which order instruments enter a registry
    forwards      forwards from marks by put-call parity
    rows          one contract's row of a file, and the numbers in it
    summary_json  `public/get_book_summary_by_currency`
    chain_csv     an option chain as CSV
    futures_csv   futures and perpetuals as CSV
    deribit       recognises the files and makes one market of them

The formats are in docs/market.md.
"""
