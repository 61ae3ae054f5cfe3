"""What may happen: guardrails, evaluation bands, roles. Pure decisions over values."""
