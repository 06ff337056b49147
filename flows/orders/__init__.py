"""The order of work of each flow as a plain function; command line, tests and flows all call it."""
