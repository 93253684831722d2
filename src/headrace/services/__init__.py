"""What users write: services and their endpoints."""
