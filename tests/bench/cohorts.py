"""A cohort of the language against the same logic by hand, on the same views of the same data."""

from tasks.cohort.language.build import build_native, create_cohort_tables
from tasks.cohort.workspace import VOCABULARY, open_clean
from tasks.core.duck import duck, quoted
from tasks.core.omop import omop_tables
from tasks.core.spec.cohorts import NativeCohort
from tasks.core.strict_yaml import parse_yaml
from tasks.simulate.consortium import simulate_consortium
from tests.bench.timing import timed

TABLES = ("person", "observation_period", "procedure_occurrence", "condition_occurrence",
          "visit_occurrence", "drug_exposure", "measurement")  # fmt: skip
LISTS = {"chest_xray": [4163872], "failure": [319049], "lung_or_heart": [255573, 316139]}
COHORT = b"""
id: imaged
entry:
  any: [{domain: procedure_occurrence, code_list: chest_xray}]
  calendar: {start: 2024-01-01, end: 2025-12-31}
  observation: {prior_days: 365, post_days: 0}
  limit: first
rules:
  - id: forty
    require: {age: {method: calendar_year, at_least: 40}}
  - id: no_failure
    exclude: {events: {domain: condition_occurrence, code_list: failure}, at_least: 1,
              within: {from_days: -365, to_days: 0}}
  - id: ill_or_seen_often
    require:
      any:
        - {events: {domain: condition_occurrence, code_list: lung_or_heart}, at_least: 1,
           within: {to_days: -1}}
        - {events: {domain: visit_occurrence}, at_least: 3, distinct: day,
           within: {from_days: -365, to_days: -1}}
keep: first
end: {type: fixed, anchor: start, offset_days: 365}
"""
BY_HAND = """
with x as (
    select p.person_id, p.procedure_date as d, o.observation_period_start_date as a,
        o.observation_period_end_date as z
    from clean.procedure_occurrence as p
    join clean.observation_period as o on o.person_id = p.person_id
        and p.procedure_date between o.observation_period_start_date + 365
            and o.observation_period_end_date
    where p.procedure_concept_id = 4163872
        and p.procedure_date between date '2024-01-01' and date '2025-12-31'
    qualify row_number() over (partition by p.person_id order by p.procedure_date) = 1
)
select count(*), sum(least(x.d + 365, x.z) - x.d + 1)
from x join clean.person as n using (person_id)
where year(x.d) - n.year_of_birth >= 40
    and not exists (
        select 1 from clean.condition_occurrence as c where c.person_id = x.person_id
            and c.condition_concept_id = 319049
            and c.condition_start_date between greatest(x.d - 365, x.a) and x.d
    )
    and (
        exists (
            select 1 from clean.condition_occurrence as c where c.person_id = x.person_id
                and c.condition_concept_id in (255573, 316139)
                and c.condition_start_date between x.a and x.d - 1
        )
        or x.person_id in (
            select y.person_id from x as y join clean.visit_occurrence as v using (person_id)
            where v.visit_start_date between greatest(y.d - 365, y.a) and y.d - 1
            group by y.person_id having count(distinct v.visit_start_date) >= 3
        )
    )
"""


def bench_cohorts(folder, persons):
    """Yield one line: a native cohort at so many simulated persons, and the query by hand."""
    out = folder / "cohorts"
    made = simulate_consortium(out, persons, 4, 1, "clean", form="parquet", potential=0)
    with duck(folder / "cohorts.duckdb") as con:
        lay_out(con, made)
        cohort = NativeCohort.model_validate(parse_yaml(COHORT, "bench").value)
        rounds = [
            (timed(lambda: con.execute(BY_HAND).fetchone()), timed(lambda: build(con, cohort))[0])
            for _ in range(9)
        ]
        (hand, expected), ours = min(by_hand for by_hand, _ in rounds), min(s for _, s in rounds)
        got = con.execute(
            "select count(*), sum(end_date - start_date + 1) from cohort.cohort"
        ).fetchone()
    assert got == expected, (got, expected)
    yield f"cohort of {got[0]:,} in {persons:,} persons", ours, "one statement by hand", hand


def build(con, cohort):
    con.execute("truncate cohort.cohort")
    build_native(con, cohort)


def lay_out(con, made):
    """Show the delivered files as schema raw, and clean over them; resolve the code lists."""
    con.execute("create schema raw; create schema cohort")
    for table in (*TABLES, *VOCABULARY):
        columns = ["site_id varchar", *(f"{c.name} {c.type}" for c in omop_tables()[table].columns)]
        con.execute(f"create table raw.{table} ({', '.join(columns)})")
        for file in sorted(made.folder.rglob(f"{table}.parquet")):
            con.execute(
                f"insert into raw.{table} by name select {quoted(file.parent.name)} as site_id, * "
                f"from read_parquet({quoted(file)})"
            )
    open_clean(con, TABLES)
    create_cohort_tables(con)
    con.execute("checkpoint")
    con.execute("create table cohort.code_list (code_list_id varchar, concept_id bigint)")
    for name, concepts in LISTS.items():
        con.executemany("insert into cohort.code_list values (?, ?)", [[name, c] for c in concepts])
