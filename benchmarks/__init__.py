"""Benchmarks: ratios against a named reference in the same run. `make bench` runs them all; README.md records results."""
