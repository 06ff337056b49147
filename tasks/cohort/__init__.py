"""Who is in the study, from when, until when, and who was lost at which step."""
