"""The fronts on the wire beside servers that answer a constant: `python -m benchmarks.serve`.

Loads come from h2load and a client in C, on the same machine; servers take turns, and only ratios count.
"""
