"""What operators see: the operation log, the access log, health."""
