"""Whether a log is what it was: pure functions over what is stored now and what was signed before."""
