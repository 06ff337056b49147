"""Everything a flow can call: one room for each stage of the evidence."""
