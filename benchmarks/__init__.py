"""Benchmarks: `corpus` makes the lists and the traffic, `own` measures this library."""
