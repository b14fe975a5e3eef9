"""What results say: verdicts, problems side by side, runs side by side."""
