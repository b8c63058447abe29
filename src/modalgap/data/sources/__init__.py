"""Sources that need no code of their own: one kind of files a module; ``find`` tells them apart."""
