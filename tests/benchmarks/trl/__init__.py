"""Our recipes against TRL's trainers on the same work: `python -m tests.benchmarks.trl.table` (`make bench-trl`)."""
