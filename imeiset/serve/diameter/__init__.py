"""The Diameter front: S13 and S13' (3GPP TS 29.272) between peers (RFC 6733)."""
