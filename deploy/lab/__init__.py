"""The lab: a farm of Linux hosts with a kernel of their own, for tests and for looking at."""
