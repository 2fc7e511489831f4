"""The Annotate page: an item, its candidates, and a judgement by keyboard."""
