"""Words and rules of the workbench: standard library and pydantic only."""
