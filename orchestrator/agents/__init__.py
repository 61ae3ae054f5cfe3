"""Agents inside the system: who is asked when a run reaches a stage."""
