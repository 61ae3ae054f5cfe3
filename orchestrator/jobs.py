"""What a worker does when the bell rings: a shift, not a single step."""

from django.conf import settings

from orchestrator.engine import execute


def run_command(command: int) -> None:
    """Run this command and whatever else is ready in its queue, up to a shift's length.

    The id is a hint about where to look. If another worker was faster there may be nothing left.
    """
    execute.work_shift(command, at_most=settings.COMMANDS_PER_SHIFT)
