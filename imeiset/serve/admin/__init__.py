"""The admin port: a page to look up a phone, metrics, and whether all is well."""

from imeiset.serve.admin.application import Admin

__all__ = ["Admin"]
