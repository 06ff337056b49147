"""From the cohort language to SQL that a person can read: one statement a step, one step a rule."""
