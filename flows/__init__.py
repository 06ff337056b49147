"""Prefect flows, deployments and the command line: the order of work, no arithmetic, no SQL.

Importing this package switches off everything that would call out of the building.
"""

import os

QUIET = {
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}
for name, value in QUIET.items():
    os.environ.setdefault(name, value)
