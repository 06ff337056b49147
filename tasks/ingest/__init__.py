"""How a delivery becomes rows of the lake: contract, types, quarantine, ledger."""
