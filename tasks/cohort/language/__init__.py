"""The cohort language as SQL."""
