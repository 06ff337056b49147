"""The protocol of a study, written from its specification alone, in the structure of HARPER."""
