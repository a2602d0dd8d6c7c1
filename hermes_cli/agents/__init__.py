"""What a run executes: agents behind one interface. An agent says what to start and reads what that says."""
