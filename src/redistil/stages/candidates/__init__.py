"""First-stage runs: what every re-ranker gets to see.

SPLADE by exact search over encoded passages, BM25 over their words, or a run file from elsewhere.
"""
