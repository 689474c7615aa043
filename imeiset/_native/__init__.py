"""Compiled modules, one concept each, with their stubs; the C they are made of is in c/."""
