"""Registers: lists of equipment with a status each, and the verdict they give on one phone."""

from imeiset.register.claims import Claim, Words
from imeiset.register.policy import EquipmentStatus, Policy, Rule, Verdict
from imeiset.register.register import Register

__all__ = ["Claim", "EquipmentStatus", "Policy", "Register", "Rule", "Verdict", "Words"]
