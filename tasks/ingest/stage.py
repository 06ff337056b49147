"""Staging: a delivery is verified, typed and judged in a private folder; the lake is only read.

The stage is a DuckDB file of views over Parquet: `delivered.<table>` holds every typed row with
`_row` and `_code` (null when good), `loadable.<table>` the good rows, `delivery.file_balance`
the counts of each file.
"""

import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import duckdb

from tasks.core.duck import duck, identifier, quoted, single
from tasks.core.omop import Table
from tasks.core.paths import Home
from tasks.core.site import SiteSettings
from tasks.ingest.archive import is_archive, unpack
from tasks.ingest.cast import Reading
from tasks.ingest.inspection import Inspected, inspect_files, model_of
from tasks.ingest.lines import BadRow, bad_rows_of_parquet, bad_rows_of_text
from tasks.ingest.manifest import MANIFEST, Manifest, read_manifest
from tasks.ingest.messages import row_findings, warning_findings
from tasks.ingest.model import (
    DeliveryRefused,
    FileOutcome,
    FileRefused,
    Finding,
    codes_of,
)
from tasks.ingest.parse import Parsed, select_typed, select_verbatim, stage_csv, stage_parquet
from tasks.ingest.row_rules import find_orphans, find_repeats
from tasks.ingest.standing import lake_if_any, no_persons, persons_in_force, standing
from tasks.ingest.turn import new_work_folder
from tasks.ingest.verify import check_delivery, content_sha256, listed_files
