"""What people are told when the staff acted on them: on a page of their own, and by mail where they can be reached elsewhere."""
