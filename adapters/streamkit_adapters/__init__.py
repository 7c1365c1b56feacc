"""One module a framework or protocol: streamkit's responses as that framework's own."""
