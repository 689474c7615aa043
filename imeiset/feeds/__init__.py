"""Operators' files to sets: `load` reads them, `LoadReport` says what was in them."""
