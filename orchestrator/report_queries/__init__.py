"""What the reports say, one module a page. Everything is read from daily counters (`models/rollups.py`)."""
