"""`python -m imeiset.cli` is `imeiset`."""

from imeiset.cli import main

main(prog_name="imeiset")
