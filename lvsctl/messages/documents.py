"""What director and agent tell each other, as JSON documents; both sides read and write here."""

from collections.abc import Mapping
from typing import Any

from lvsctl.errors import InvalidInput
from lvsctl.messages.converter import strict_converter, structured
from lvsctl.messages.limits import report_problems
from lvsctl.messages.model import Assignment, Registration, Report

Document = Mapping[str, Any]

_CONVERTER = strict_converter()


def registration_document(registration: Registration) -> Document:
    """Return a registration as what ``json.dumps`` takes."""
    return _plain(registration)


def read_registration(document: object) -> Registration:
    """Return the registration of a parsed JSON document.

    Raises:
        InvalidInput: It is none; each problem points into the document.
    """
    return structured(_CONVERTER, document, Registration)


def assignment_document(assignment: Assignment) -> Document:
    """Return an assignment as what ``json.dumps`` takes."""
    return _plain(assignment)


def read_assignment(document: object) -> Assignment:
    """Return the assignment of a parsed JSON document.

    Raises:
        InvalidInput: It is none; each problem points into the document.
    """
    return structured(_CONVERTER, document, Assignment)


def report_document(report: Report) -> Document:
    """Return a report as what ``json.dumps`` takes."""
    return _plain(report)


def read_report(document: object) -> Report:
    """Return the report of a parsed JSON document.

    Raises:
        InvalidInput: It is none, or too large; each problem points into the document.
    """
    report = structured(_CONVERTER, document, Report)
    problems = tuple(report_problems(report))
    if problems:
        raise InvalidInput(problems)
    return report


def _plain(value: Registration | Assignment | Report) -> Document:
    document: Document = _CONVERTER.unstructure(value)
    return document
