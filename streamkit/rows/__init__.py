"""What a row and a value are, whatever library they come from."""
