"""Runs a module once Django is set up: `python -m tests.chaos.with_django MODULE [WORD ...]`.

Models cannot be imported before, and this way the module's own imports can stand at its top.
"""

import runpy
import sys

import django

if __name__ == "__main__":
    django.setup()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
