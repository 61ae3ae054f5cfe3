"""Numbers that people can trust: rates with their intervals, by the standard library alone."""
