"""One file or folder per page; shown means imported."""
