"""Who does what next: the mainstem seat, and which ticket goes where when. Does not know what a row is."""
