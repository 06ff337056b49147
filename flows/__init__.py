"""Prefect flows, the command line and the deployments: the order of work, no arithmetic, no SQL."""
