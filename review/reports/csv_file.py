"""A table as CSV: streamed, with what it was asked for on top, and inert in every spreadsheet."""

import csv
from collections.abc import Iterable, Iterator
from datetime import date, datetime

from django.http import StreamingHttpResponse

from review.reports.table import Table

# A spreadsheet would take such a text for a formula, and run it.
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


class _Line:
    """What `csv.writer` writes to: hands each line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def csv_response(
    table: Table, about: Iterable[tuple[str, object]], file_name: str
) -> StreamingHttpResponse:
    """`about` are the first rows: a name and a value each, then a blank line."""
    response = StreamingHttpResponse(
        _lines(table, about), content_type="text/csv; charset=utf-8; header=present"
    )
    response["Content-Disposition"] = f'attachment; filename="{file_name}.csv"'
    return response


def _lines(table: Table, about: Iterable[tuple[str, object]]) -> Iterator[str]:
    writer = csv.writer(_Line())
    for name, value in about:
        yield writer.writerow([name, cell(value)])
    yield writer.writerow([])
    yield writer.writerow(table.head)
    for record in table.records:
        yield writer.writerow([cell(value) for value in record])


def cell(value: object) -> object:
    """Numbers stay numbers; times are ISO 8601; of texts none is a formula."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(FORMULAS):
        return f"'{value}"
    return value
