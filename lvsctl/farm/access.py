"""Who may use a director: roles and, stored with the farm, tokens. Pure."""

import enum


class Role(enum.StrEnum):
    """What somebody may do.

    ADMIN everything; OPERATOR read, drain, set run-time weights, pause; VIEWER read; METRICS read
    the metrics; AGENT speak for one real server.
    """

    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"
    METRICS = "metrics"
    AGENT = "agent"
