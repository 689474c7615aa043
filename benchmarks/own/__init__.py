"""How fast and how small imeiset is.

`python -m benchmarks.own` prints the bars the project holds itself to; `pytest benchmarks/own` times
every kernel with pytest-benchmark (`--benchmark-autosave`, then `--benchmark-compare`, shows what changed).
"""
