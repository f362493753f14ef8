"""A place for backups that speaks S3: Amazon's, and everybody's who answers as it does."""
