"""Numbers about labels, texts and curves; no Qt, no torch."""
