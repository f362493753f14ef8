"""What is remembered of abuse when an account is erased: nothing that can be read by who does not know whom he looks for."""
