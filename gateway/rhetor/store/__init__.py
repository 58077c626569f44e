"""What outlives a trip, behind protocols named after operations."""
