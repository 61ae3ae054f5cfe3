"""What a worker does when the bell rings: a shift, not a single step."""

import logging

from django.conf import settings
from django.db import DatabaseError

from orchestrator.engine import execute

logger = logging.getLogger(__name__)


def run_command(command: int) -> None:
    """Run whatever is ready in the queue of this command, up to a shift's length.

    The id is a hint about where to look. If another worker was faster there may be nothing left.
    """
    queue = execute.queue_of(command)
    if queue is not None:
        run_ready(queue)


def run_ready(queue: str) -> None:
    """A database that is away ends the shift and not the worker; leases give back what it held."""
    try:
        execute.work_shift(queue, at_most=settings.COMMANDS_PER_SHIFT)
    except DatabaseError as error:
        logger.warning("a shift on %s ended early: %s", queue, error)
