"""One file for each step; none of them imports the application."""
