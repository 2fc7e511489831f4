"""Job specs: what is asked of a run, as declared data. Forms, command line, manual and validation are made from them."""
