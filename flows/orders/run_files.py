"""What a run leaves in its folder: results, the SQL of cohorts, quality verdicts, the report."""

import json
from pathlib import Path

import polars as pl

from flows.orders.pinned import Pinned
from tasks.cohort.cohorts import cohort_sql
from tasks.core.disclosure import Released
from tasks.core.results import read_results, results_frame, write_table
from tasks.core.runs import RunIdentity, lock_hash, package_versions
from tasks.core.spec import StudySpec
from tasks.core.summarised import write_summarised
from tasks.report.model import ReportInputs
from tasks.report.render import render_report


def write_results(
    spec: StudySpec,
    pinned: Pinned,
    released: Released,
    quality: list[dict[str, object]],
    folder: Path,
) -> None:
    """Write results, attrition, balance, the SQL of cohorts and the quality verdicts of a run."""
    identity = pinned.identity
    for name, text in cohort_sql(spec).items():
        file = folder / "sql" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    frame = results_frame(
        released.rows,
        {
            "study_id": identity.study_id,
            "spec_hash": identity.spec_hash,
            "run_id": identity.run_id,
            "snapshot_id": identity.snapshot_id,
            "data_cutoff": identity.data_cutoff,
        },
    )
    write_table(frame, folder / "results.parquet")
    write_summarised(frame, folder / "results.csv")
    write_table(released.attrition, folder / "attrition.parquet")
    write_table(released.balance, folder / "balance.parquet")
    (folder / "quality").mkdir()
    for verdict in quality:
        text = json.dumps(verdict, indent=2, ensure_ascii=False, sort_keys=True)
        name = f"{verdict['site_id']}.{verdict['delivery_id']}.json"
        (folder / "quality" / name).write_text(text + "\n", encoding="utf-8")


def write_report(
    spec: StudySpec,
    pinned: Pinned,
    quality: list[dict[str, object]],
    gates: list[dict[str, object]],
    k: int | None,
    folder: Path,
) -> list[Path]:
    """Render the report of a run from the tables in its folder."""
    inputs = ReportInputs(
        spec=spec,
        results=read_results(folder),
        attrition=pl.read_parquet(folder / "attrition.parquet"),
        balance=pl.read_parquet(folder / "balance.parquet"),
        quality=quality,
        deliveries=pinned.deliveries,
        gates=gates,
        provenance=provenance(pinned.identity, k),
    )
    return render_report(inputs, folder)


def provenance(identity: RunIdentity, k: int | None) -> dict[str, str]:
    """Return what the footer of a report names: hashes and versions, no clock and no host."""
    return {
        "run_id": identity.run_id,
        "spec_hash": identity.spec_hash,
        "content_hash": identity.content_hash,
        "snapshot_id": str(identity.snapshot_id),
        "data_cutoff": identity.data_cutoff,
        "code_hash": identity.code_hash,
        "lock_hash": lock_hash(),
        **({} if k is None else {"disclosure_threshold": str(k)}),
        **{f"package {name}": number for name, number in package_versions().items()},
    }
