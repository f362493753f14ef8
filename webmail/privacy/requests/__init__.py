"""What people ask of us by right, on a page or by mail, with a clock of one month and a trail (GDPR Art. 12 to 21; P23)."""
