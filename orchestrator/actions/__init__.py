"""Everything that people and programs may do. One function for each wish; the only writers beside the engine.

Same order every time: lock, check who and what state, append the event, audit. A view, an API
operation and a command that want the same thing call the same function.
"""
