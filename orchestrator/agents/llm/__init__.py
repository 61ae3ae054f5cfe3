"""Agents that are language models. The one package that knows pydantic-ai, which takes seconds to import.

pydantic-ai speaks the languages of the vendors: one request, one answer. The conversation is ours
(`agent.py`), because what may be used, what has to be asked for, what it may cost and when it ends are
promises of ours. Nothing here is imported before a worker is asked for such an agent; see `registry.py`.
"""
