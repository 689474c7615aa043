"""Fronts over a store, on the wire: a 5G-EIR, Diameter S13, checks in bulk, metrics and a page."""
