"""`python -m imeiset`: the `imeiset` command."""

from imeiset.cli import main

if __name__ == "__main__":
    main(prog_name="imeiset")
