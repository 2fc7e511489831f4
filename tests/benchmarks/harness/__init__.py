"""Evaluation harnesses against the server."""
