"""Estimators of how well a test tells who has a condition."""
