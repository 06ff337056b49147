"""How many persons, cases, readers or events a study needs, and what power a number gives."""
