"""The HTTP front: a 5G-EIR, checks in bulk, the lists, and the OpenAPI document."""
