"""Cases: what was brought to the staff, grouped by what it is about, worked on in the open, and answered."""
