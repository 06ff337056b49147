"""Evidence as a person reads it: tables, figures, pages, in English and Korean."""
