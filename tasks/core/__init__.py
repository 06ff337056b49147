"""Shared ground that imports no other room: errors, paths, settings, spec, lake, run, results."""
