"""What the app can do, in verbs; every method may be called from any thread."""
