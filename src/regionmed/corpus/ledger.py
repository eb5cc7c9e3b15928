"""What came in, what was kept, and the reason for each loss: ledger.jsonl, one line a loss."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from regionmed.corpus.readers.source import Loss


class Ledger:
    """Writes losses as they happen and counts them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream = path.open("w", encoding="utf-8")
        self._pictures: Counter[str] = Counter()
        self._regions: Counter[str] = Counter()
        self._reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def note(self, set_name: str, loss: Loss) -> None:
        """One loss of a set."""
        self._stream.write(json.dumps(loss.as_line(set_name), ensure_ascii=False) + "\n")
        (self._regions if loss.region else self._pictures)[set_name] += 1
        # one reason, whatever its numbers
        self._reasons[set_name][re.sub(r"\d+(\.\d+)?", "#", loss.reason)] += 1

    def close(self) -> None:
        """Finish the file."""
        self._stream.close()

    def summary(self) -> dict[str, Any]:
        """Set -> lost pictures (and files), lost regions (and rows), and the commonest reasons."""
        return {
            set_name: {
                "pictures": self._pictures[set_name],
                "regions": self._regions[set_name],
                "reasons": dict(reasons.most_common(20)),
            }
            for set_name, reasons in sorted(self._reasons.items())
        }
