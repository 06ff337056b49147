"""Shared ground: errors, paths, settings, the study spec, the lake, the run, results, disclosure. Imports no other room."""
