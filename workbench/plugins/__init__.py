"""The plugin host; plugins import nothing but its api module."""
