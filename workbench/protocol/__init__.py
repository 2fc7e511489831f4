"""What crosses the edge between processes: messages and run folders."""
