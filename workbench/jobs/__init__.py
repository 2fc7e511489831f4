"""Processes: launching, watching, adopting and ending run folders."""
