"""What RFC 9110 and RFC 6266 say of a response. Opens nothing."""
