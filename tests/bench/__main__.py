"""`make bench`: wall time and memory as ratios against a baseline of the same run.

Ingest against DuckDB's own typed `create table as` of the same files; cohort queries against the
same logic by hand in one statement; estimators against lifelines where it is right. Ratios count,
seconds do not: the machine is shared.
"""

import argparse
import hashlib
import json
import resource
import shutil
import tempfile
from pathlib import Path

from flows.orders.delivery import deliver
from tasks.cohort.build import build_subjects, open_study
from tasks.core.duck import duck, quoted
from tasks.core.lake import newest_snapshot, open_lake
from tasks.core.omop import omop_tables
from tasks.core.paths import Home
from tasks.core.site import SiteSettings
from tasks.core.spec import load_study
from tasks.simulate.consortium import simulate_consortium
from tests.bench.cohorts import bench_cohorts
from tests.bench.covariates import bench_covariates
from tests.bench.estimators import SIZES, as_table, bench_estimators
from tests.bench.timing import timed

STUDY = "gibleed_celecoxib_diclofenac"
# Rows a person; values are arithmetic in the row number, so the same persons give the same bytes.
TABLES = {
    "person": (1, ("i as person_id, 8507 + 25 * (i % 2) as gender_concept_id, "
                  "1930 + i % 70 as year_of_birth, 0 as race_concept_id, 0 as ethnicity_concept_id")),
    "observation_period": (1, ("i as observation_period_id, i as person_id, "
                           "date '2005-01-01' as observation_period_start_date, "
                           "date '2020-12-31' as observation_period_end_date, "
                           "32817 as period_type_concept_id")),
    "condition_occurrence": (20, ("i as condition_occurrence_id, i // 20 as person_id, "
                             "case when hash(i) % 50 = 0 then 192671 else 300000 + hash(i) % 400 end "
                             "as condition_concept_id, "
                             "date '2006-01-01' + (hash(i + 7) % 5000)::integer as condition_start_date, "
                             "32817 as condition_type_concept_id, 'K' || i % 99 as condition_source_value")),
    "drug_era": (2, ("i as drug_era_id, i // 2 as person_id, "
                 "case hash(i // 2) % 2 when 0 then 1118084 else 1124300 end as drug_concept_id, "
                 "date '2007-01-01' + (hash(i) % 4000)::integer as drug_era_start_date, "
                 "date '2007-01-10' + (hash(i) % 4000)::integer as drug_era_end_date")),
    "measurement": (30, ("i as measurement_id, i // 30 as person_id, 3004501 as measurement_concept_id, "
                    "date '2006-01-01' + (hash(i) % 5000)::integer as measurement_date, "
                    "32817 as measurement_type_concept_id, (hash(i) % 2000) / 10 as value_as_number, "
                    "8840 as unit_concept_id")),
    "concept": (0, ("192671 as concept_id, 'bleed' as concept_name, 'Condition' as domain_id, "
                "'SNOMED' as vocabulary_id, 'Finding' as concept_class_id, '1' as concept_code, "
                "date '1970-01-01' as valid_start_date, date '2099-12-31' as valid_end_date")),
    "concept_ancestor": (0, ("192671 as ancestor_concept_id, 192671 as descendant_concept_id, "
                         "0 as min_levels_of_separation, 0 as max_levels_of_separation")),
}  # fmt: skip
BY_HAND = """
with e as (
    select person_id, drug_concept_id, drug_era_start_date as s, drug_era_end_date as f
    from lake.omop.drug_era where drug_concept_id in (1118084, 1124300)
    qualify row_number() over (partition by person_id order by drug_era_start_date, f desc) = 1
),
b as (
    select max(a) as lo, min(z) as hi
    from (select min(s) as a, max(s) as z from e group by drug_concept_id)
),
c as (
    select e.*, o.observation_period_end_date as z, p.year_of_birth from e cross join b
    join lake.omop.observation_period as o using (person_id)
    join lake.omop.person as p using (person_id)
    where s between lo and hi and s between o.observation_period_start_date + 183 and z
),
g as (
    select person_id, condition_start_date as d from lake.omop.condition_occurrence
    where condition_concept_id = 192671
)
select count(*), sum(least(f + 30, z, coalesce(d, f + 30)) - s + 1)
from c
left join (
    select c.person_id, min(d) as d from c join g using (person_id)
    where d between s and least(f + 30, z) group by all
) using (person_id)
where not exists (
    select 1 from g where g.person_id = c.person_id and g.d between s - 30 and s - 1
)
"""


def main():
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--persons", type=int, default=50_000)
    parser.add_argument("--simulated", type=int, default=100_000, help="try 1,000,000")
    parser.add_argument("--most", type=int, default=1_000_000, help="largest size of estimators")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="causeway-bench-"))
    try:
        lines = [
            *bench_ingest(folder, arguments.persons),
            *bench_covariates(100_000),
            *bench_simulation(folder, arguments.simulated),
            *bench_cohorts(folder, arguments.simulated),
        ]
    finally:
        shutil.rmtree(folder)
    estimators = list(bench_estimators([n for n in SIZES if n <= arguments.most]))
    print(f"{arguments.persons:,} persons; peak memory {peak_mib():,.0f} MiB\n")
    print("| step | seconds | baseline | seconds | ratio |\n|---|---:|---|---:|---:|")
    for step, ours, baseline, theirs in lines:
        print(f"| {step} | {ours:.2f} | {baseline} | {theirs:.2f} | {ours / theirs:.2f} |")
    print("\nEstimators, each in a process of its own; ratio of seconds\n")
    print(as_table(estimators))


def bench_ingest(folder, persons):
    delivery = write_delivery(folder / "delivery", persons)
    plain = timed(lambda: plain_load(delivery, folder / "plain.duckdb"))[0]
    home, site = Home(folder / "home").prepare(), SiteSettings()
    without = timed(
        lambda: deliver(Home(folder / "other").prepare(), delivery, gate=lambda _: None)
    )
    seconds, outcome = timed(lambda: deliver(home, delivery))
    assert outcome.exit_code == without[1].exit_code == 0, outcome.messages
    yield "ingest without the quality gate", without[0], "typed create table as", plain
    yield "ingest with the quality gate", seconds, "typed create table as", plain
    with open_lake(home, site) as con:
        snapshot = newest_snapshot(con)
        by_hand, expected = timed(lambda: con.execute(BY_HAND).fetchall()[0])
    spec = load_study(STUDY)
    everywhere = spec.sources[0].model_copy(update={"sites": ()})
    spec = spec.model_copy(update={"sources": (everywhere,)})
    with open_lake(home, site, snapshot=snapshot, workspace=folder / "w.duckdb") as con:
        open_study(con, spec, everywhere)
        ours = timed(lambda: build_subjects(con, spec))
        got = con.execute("select count(*), sum(follow_up_days) from cohort.subject").fetchall()[0]
    assert got == expected, (got, expected)
    yield "cohort queries", ours[0], "one statement by hand", by_hand


def bench_simulation(folder, persons):
    """A consortium of four, against a tenth of it (growth) and DuckDB's copy of as many rows."""
    part, small = timed(lambda: simulated(folder / "tenth", persons // 10))
    whole, made = timed(lambda: simulated(folder / "whole", persons))
    files = sum(file.stat().st_size for file in made.folder.rglob("*") if file.is_file())
    with duck() as con:
        row = "i, i + 1, 3004501, date '2024-01-01', 5.5, 'mg/dL'"
        plain = (
            f"copy (select {row} from range({made.rows}) as r (i)) to {quoted(folder / 'p.csv')}"
        )
        copied = timed(lambda: con.execute(plain))[0]
    print(f"simulated: {made.rows:,} rows, {files / 2**30:.1f} GiB; memory {peak_mib():,.0f} MiB")
    grown = part * made.rows / small.rows
    yield f"simulate {persons:,} persons", whole, "ten times a tenth (growth)", grown
    yield f"simulate {persons:,} persons", whole, "plain copy of as many rows", copied
    shutil.rmtree(made.folder)


def simulated(out, persons):
    return simulate_consortium(out, persons, 4, 1, "consortium")


def write_delivery(folder, persons):
    folder.mkdir()
    files = []
    with duck() as con:
        for table, (rows, columns) in TABLES.items():
            count = max(rows * persons, 1)
            target = folder / f"{table}.csv"
            con.execute(
                f"copy (select {columns} from range({count}) as r (i)) to {quoted(target)} (header)"
            )
            sha = hashlib.sha256(target.read_bytes()).hexdigest()
            files.append({"name": target.name, "table": table, "rows": count, "sha256": sha,
                          "bytes": target.stat().st_size})  # fmt: skip
    manifest = {"manifest_version": 1, "delivery_id": "B-1", "site_id": "bench", "kind": "full",
                "format": "omop", "data_cutoff": "2020-12-31", "timezone": "UTC",
                "encoding": "utf-8", "data_class": "synthetic_public", "files": files}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def plain_load(delivery, file):
    with duck(file) as con:
        for table in TABLES:
            kinds = {column.name: column.type for column in omop_tables()[table].columns}
            source = delivery / f"{table}.csv"
            header = source.open().readline().strip().split(",")
            types = ", ".join(f"{name}: {quoted(kinds[name])}" for name in header)
            con.execute(
                f"create table {table} as from read_csv({quoted(source)}, columns = {{{types}}}, header = true)"
            )


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
