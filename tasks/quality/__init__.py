"""Expectations, how they are judged, and the verdict that opens or shuts the gate."""
