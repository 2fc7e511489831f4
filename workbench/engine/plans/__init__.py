"""A decoder's weights as a plan, and decoding by it: what sampling rollouts and the decoding lab share on a CPU."""
