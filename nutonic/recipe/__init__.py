"""What a user asks for, as one frozen, validated value."""
