"""imeiset beside what a user would pick instead: `python -m benchmarks.compare`.

Every peer has a process of its own, is used as its documentation recommends, and answers the same
questions; its answers must be those of imeiset. docs/benchmarks.md says how each figure is measured.
"""
