"""Cohorts as ATLAS exports them, built by OHDSI's own circepy."""

from tasks.cohort.circe.build import build_circe, circe_attrition
from tasks.cohort.circe.read import Expression, read_expression, tables_of

__all__ = ["Expression", "build_circe", "circe_attrition", "read_expression", "tables_of"]
