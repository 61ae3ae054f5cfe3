"""Which status a page has that says why something was not done."""

from http import HTTPStatus

from orchestrator.core.errors import Conflict, CountersignError, NotAllowed, NotFound


def status_of(error: CountersignError) -> HTTPStatus:
    if isinstance(error, Conflict):
        return HTTPStatus.CONFLICT
    if isinstance(error, NotAllowed):
        return HTTPStatus.FORBIDDEN
    if isinstance(error, NotFound):
        return HTTPStatus.NOT_FOUND
    return HTTPStatus.UNPROCESSABLE_ENTITY
