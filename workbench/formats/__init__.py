"""Dataset formats: readers, writers, detection and the import doctor."""
