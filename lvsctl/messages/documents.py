"""Messages between director and agent as JSON documents, for both sides."""

from collections.abc import Mapping
from typing import Any

from lvsctl.errors import InvalidInput
from lvsctl.messages.converter import strict_converter, structured
from lvsctl.messages.limits import report_problems
from lvsctl.messages.model import Assignment, Registration, Report

Document = Mapping[str, Any]

_CONVERTER = strict_converter()


def registration_document(registration: Registration) -> Document:
    """Return a registration as JSON values."""
    return _plain(registration)


def read_registration(document: object) -> Registration:
    """Convert a JSON document to a registration.

    Raises:
        InvalidInput: Not a registration; each problem points into the document.
    """
    return structured(_CONVERTER, document, Registration)


def assignment_document(assignment: Assignment) -> Document:
    """Return an assignment as JSON values."""
    return _plain(assignment)


def read_assignment(document: object) -> Assignment:
    """Convert a JSON document to an assignment.

    Raises:
        InvalidInput: Not an assignment; each problem points into the document.
    """
    return structured(_CONVERTER, document, Assignment)


def report_document(report: Report) -> Document:
    """Return a report as JSON values."""
    return _plain(report)


def read_report(document: object) -> Report:
    """Convert a JSON document to a report.

    Raises:
        InvalidInput: Not a report, or too large; each problem points into the document.
    """
    report = structured(_CONVERTER, document, Report)
    problems = tuple(report_problems(report))
    if problems:
        raise InvalidInput(problems)
    return report


def _plain(value: Registration | Assignment | Report) -> Document:
    document: Document = _CONVERTER.unstructure(value)
    return document
