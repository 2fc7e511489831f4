"""One file per decoding strategy over one stepper."""
