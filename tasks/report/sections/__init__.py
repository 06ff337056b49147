"""The sections of the report, one module each, in the order a reviewer asks."""
