"""What happened to the people of a cohort, and what the treatment changed."""
