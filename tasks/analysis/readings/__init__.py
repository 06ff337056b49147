"""What readings of cases tell about a test: its accuracy, its readers, its centres."""
