"""The quality verdicts and row balances of the deliveries behind a run."""

import json

Row = dict[str, object]
_NOT_JUDGED = '{"verdict": "", "results": []}'


def quality_of(deliveries: list[Row], ledger: list[Row]) -> list[Row]:
    """Return, for each delivery in force, its quality verdict and its row balance."""
    found = []
    for delivery in deliveries:
        ids = (delivery["site_id"], delivery["delivery_id"])
        verdict = json.loads(str(delivery["quality"]) or _NOT_JUDGED)
        found.append(
            {
                "site_id": ids[0],
                "delivery_id": ids[1],
                "verdict": verdict["verdict"],
                "checks": verdict["results"],
                "files": [r for r in ledger if (r["site_id"], r["delivery_id"]) == ids],
            }
        )
    return found
