"""The engine: moves runs, claims and executes commands, sweeps up after crashes."""
