"""What every service process is made of: its workers, its resources, its stop."""
