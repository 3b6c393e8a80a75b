"""Conformance with venues' published numbers: `python -m tests.conformance FILE [--json]`.

A file is recognised by its content. Each suite is a module with

    matches(document) -> bool         whether the file is of this form
    run(document) -> Iterator[Case]   every case, with what was compared

and is listed in `suites.SUITES`. Files are read with `load`, which keeps every decimal exact.
"""
