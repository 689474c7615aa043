"""Registers: lists of equipment with a status each, and the verdict they give on one phone."""

from imeiset.register.register import EquipmentStatus, Policy, Register, Rule, Verdict

__all__ = ["EquipmentStatus", "Policy", "Register", "Rule", "Verdict"]
