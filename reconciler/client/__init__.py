"""How controllers reach the API: one `Client` protocol with a local and an HTTP face."""
